"""A test build: the production application with a fault behind every operation.

    gunicorn -c python:server.gunicorn.conf tests.fuzz.faulty_wsgi:application

Each handler raises where it would ask its ports, so that the 500 takes the way of a real fault
through the error handler and the doorkeeper.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import server.wiring
from handlers import OPERATIONS
from handlers.answers import Answer

SECRET = "password=hunter2 in SELECT secret FROM vault"  # what no answer may carry


def _faulty(handler: Callable[..., Answer]) -> Callable[..., Answer]:
    @functools.wraps(handler)
    def fail(*args: object, **parameters: object) -> Answer:
        raise RuntimeError(SECRET)

    return fail


server.wiring.OPERATIONS = {name: _faulty(one) for name, one in OPERATIONS.items()}
# GetNodeEvents is gate 0 alone: it takes nothing, and declares no refusal of the gates that a fault
# stands behind.
server.wiring.signature_complaints = lambda operations, handlers: []
server.wiring.problem_complaints = lambda contract, handlers: []

import wsgi  # noqa: E402  only now: it wires the service

# gunicorn's hooks close `wsgi.service`; one service, whatever module asks for it.
assert sys.modules["wsgi"] is wsgi
application = wsgi.application
