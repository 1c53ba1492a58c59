"""The WSGI entry point: ``gunicorn -c python:server.gunicorn_conf wsgi:application``."""

from server.start_check import start

service = start()
application = service.app
