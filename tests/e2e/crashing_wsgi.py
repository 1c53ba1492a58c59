"""A test build: the production application whose worker a test kills, or holds, between two steps.

    CRASH_FOLDER=... gunicorn -c python:server.gunicorn.conf tests.e2e.crashing_wsgi:application

Nothing of the service is replaced: the adapters tell where a write is, and a trap may be laid there
(crash_steps.py). A worker that dies does so by SIGKILL: no hook, no flush, no goodbye.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from db.domains import PostgresDomainRegistry
from db.nodes import PostgresNodeRegistry
from db.outbox import Claim
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import TupleWriter
from server.gunicorn.environ import SEND_WHOLE
from tests.e2e.crash_steps import FOLDER, Step, Traps

TRAPS = Traps(Path(os.environ[FOLDER]))
# Owner and method: the step before it, the step behind it.
STEPS: Mapping[tuple[type, str], tuple[Step | None, Step]] = {
    (PostgresDomainRegistry, "create"): (Step.ASKED, Step.COMMITTED),
    (PostgresNodeRegistry, "register"): (Step.ASKED, Step.COMMITTED),
    (PostgresNodeRegistry, "deregister"): (Step.ASKED, Step.COMMITTED),
    (PostgresNodeRegistry, "rotate_key"): (Step.ASKED, Step.COMMITTED),
    (TupleWriter, "write"): (Step.CLAIMED, Step.TAKEN),
    (Claim, "drained"): (None, Step.MARKED),
    (SpiceDbOutboxRelay, "deliver"): (None, Step.SETTLED),
}


def _trapped(method: Callable[..., Any], before: Step | None, behind: Step) -> Callable[..., Any]:
    @functools.wraps(method)
    def trapped(*args: Any, **named: Any) -> Any:
        if before is not None:
            TRAPS.reached(before)
        result = method(*args, **named)
        TRAPS.reached(behind)
        return result

    return trapped


for (owner, name), (before, behind) in STEPS.items():
    setattr(owner, name, _trapped(getattr(owner, name), before, behind))

wsgi = import_module("wsgi")  # only now: it wires the service
# gunicorn's hooks close `wsgi.service`; one service, whatever module asks for it.
assert sys.modules["wsgi"] is wsgi


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """The service's own answer, of a write in two halves; a 204 is its head alone."""
    if environ["REQUEST_METHOD"] == "GET":
        yield from wsgi.application(environ, start_response)
        return
    environ.pop(SEND_WHOLE, None)  # else the worker would send the whole answer from within
    whole = b"".join(wsgi.application(environ, start_response))
    TRAPS.reached(Step.ANSWERED)
    half = len(whole) // 2
    yield whole[:half]
    TRAPS.reached(Step.SENDING)
    yield whole[half:]
