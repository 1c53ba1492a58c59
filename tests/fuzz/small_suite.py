"""The contract suite, small: the same plug-in, checks and directed cases against a test build.

Schemathesis' engine runs in this process over one operation; failures are kept by check.
"""

from __future__ import annotations

import copy
import itertools
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import schemathesis
from schemathesis.engine import events, from_schema
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.fuzz import directed as cases
from tests.fuzz.breached_build import Build
from tests.fuzz.breached_service import Wsgi, ask
from tests.fuzz.campaign import CONFIGURATION
from tests.fuzz.declared import Declared
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.judge import Judge
from tests.fuzz.plug_in import plug_in
from tests.fuzz.world import World

CASES, SEED = 3, 7
DIRECTED_STATUS, AUDIT = "directed_status", "audit"


class SmallSuite:
    """Made once a process: what is registered with Schemathesis stays registered."""

    def __init__(self, folder: Path, world: World) -> None:
        self._folder = folder
        self._world = world
        self._document = copy.deepcopy(CONTRACT.document)  # Schemathesis writes into what it reads
        self._declared = Declared()
        self._judge = Judge(world, self._declared)
        world.save(folder)
        shutil.copy(CONFIGURATION, folder)
        plug_in(lambda: self._judge)

    def run(
        self, build: Build, application: Wsgi, operation_id: str, coverage: bool
    ) -> dict[str, str]:
        """The failed checks of one operation, each with its first complaint.

        Without ``coverage``, the phase that takes the longest is left out.
        """
        self._judge = Judge(self._world, self._declared)
        build.sink.rows.clear()
        self._fuzz(application, operation_id, coverage)
        self._direct(build, application, operation_id)
        rows = Counter((row.correlation_id, row.outcome) for row in build.sink.rows)
        failures = dict(self._judge.tally.failures)
        for key, times in self._judge.tally.audited.items():
            if rows[key] < times:
                failures[AUDIT] = f"{rows[key]} rows of {key[1]} for {times} answers"
        return failures

    def _fuzz(self, application: Wsgi, operation_id: str, coverage: bool) -> None:
        config = schemathesis.Config.from_path(self._folder / CONFIGURATION.name)
        config.update(seed=SEED, max_failures=None)
        override = config.projects.override
        override.generation.update(max_examples=CASES, no_shrink=True)
        # links lead nowhere among the breaches, and their steps take the longest
        phases = ["examples", *(["coverage"] if coverage else []), "fuzzing"]
        override.phases.update(phases=phases)
        path = CONTRACT.operations[operation_id].path
        alone = {**self._document, "paths": {path: self._document["paths"][path]}}
        with serving(application) as url:
            override.update(base_url=url)
            schema = schemathesis.openapi.from_dict(alone, config=config)
            for event in from_schema(schema).execute():
                if isinstance(event, events.NonFatalError):  # a check that fell over saw nothing
                    raise event.value
                self._note(event)

    def _note(self, event: object) -> None:
        """Failures of Schemathesis' own checks come with its events, by check."""
        recorder = getattr(event, "recorder", None)
        for node in itertools.chain(*(recorder.checks.values() if recorder else ())):
            if node.failure_info is not None:
                title = node.failure_info.failure.title
                self._judge.tally.failures.setdefault(node.name, title)

    def _direct(self, build: Build, application: Wsgi, operation_id: str) -> None:
        for case in cases.directed(self._world, operation_id):
            with build.in_state(case.service) as there:
                if not there:
                    continue
                reply = ask(application, case.path, case.headers, case.method, case.body)
            exchange = Exchange.of(case.method, case.path, case.headers, reply, case.body)
            self._judge.take(exchange)
            if reply.status != case.status:
                complaint = f"{reply.status}, not {case.status}"
                self._judge.tally.fail(DIRECTED_STATUS, complaint, exchange)


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        """Nothing: the tests say what was wrong."""


@contextmanager
def serving(application: Wsgi) -> Iterator[str]:
    """On loopback: over Schemathesis' own WSGI transport `ignored_auth` falls over (4.32.5)."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
