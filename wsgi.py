"""The WSGI entry point: ``gunicorn -c python:server.gunicorn.conf wsgi:application``."""

from server.start import start

service = start()
application = service.app
