"""A test build: the production application with a fault behind every operation.

    gunicorn -c python:server.gunicorn.conf tests.fuzz.faulty_wsgi:application

Every operation raises where it would ask its ports. The 500 passes through the error handler
and the doorkeeper as after a real fault.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import server.http.operations

SECRET = "password=hunter2 in SELECT secret FROM vault"  # what no answer may carry


def _fail(*arguments: object, **named: object) -> NoReturn:
    raise RuntimeError(SECRET)


server.http.operations.answer = _fail
server.http.operations.gate_0 = lambda operation, ledger: None

import wsgi  # noqa: E402  only now: it wires the service

# gunicorn's hooks close `wsgi.service`; one service, whatever module asks for it.
assert sys.modules["wsgi"] is wsgi
application = wsgi.application
