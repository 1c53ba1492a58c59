"""The WSGI entry point: ``gunicorn -c python:server.gunicorn_conf wsgi:application``."""

from server.settings import read_settings
from server.wiring import wire

service = wire(read_settings())
application = service.app
