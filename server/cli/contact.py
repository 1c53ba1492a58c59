"""The first contact of a command with Postgres and SpiceDB: a silent one is named at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from server.cli.options import usable_dsn

if TYPE_CHECKING:
    from server.authz.endpoint import SpiceDbEndpoint

# With the start of the command it is less than the 3 s in which a command must say who is silent.
SECONDS = 2.0
# Of the calls themselves: over later, so that one sentence tells of every silence.
ASKED_SECONDS = 5.0


def answering_dsn(text: str) -> str:
    """``text``, when it is a usable DSN and Postgres answers there. Raises as ``first_contact``."""
    dsn = usable_dsn(text)
    first_contact(dsn)
    return dsn


def first_contact(dsn: str = "", spicedb: SpiceDbEndpoint | None = None) -> None:
    """Return when a statement in Postgres and a call to SpiceDB were answered.

    Raises DatastoreUnavailable or AuthzUnavailable after SECONDS at the latest.
    """
    from composer.errors import AuthzUnavailable, DatastoreUnavailable

    asked: dict[str, Callable[[], object]] = {}
    if dsn:
        asked["Postgres"] = lambda: _ask_postgres(dsn)
    if spicedb:
        asked["SpiceDB"] = lambda: _ask_spicedb(spicedb)
    answers = side_by_side(asked, SECONDS)
    for name, answer in answers.items():
        if isinstance(answer, TimeoutError):
            kind = AuthzUnavailable if name == "SpiceDB" else DatastoreUnavailable
            raise kind(str(answer)) from answer
        if isinstance(answer, Exception):
            raise answer


def side_by_side(asked: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, Any]:
    """The return value or the error of each; a TimeoutError for one that has neither in time.

    Each has a thread of its own, because a resolver of names knows no deadline.
    """
    answers: dict[str, Any] = {
        name: TimeoutError(f"no answer within {seconds:g} s") for name in asked
    }

    def ask(name: str) -> None:
        try:
            answer = asked[name]()
        except Exception as error:
            answer = error
        answers[name] = answer

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in asked]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(answers)


def _ask_postgres(dsn: str) -> None:
    from composer.deadline import Deadline
    from db.connections import ReadSession, SingleConnection

    name = "plexsphere-state"
    connection = SingleConnection(dsn, ReadSession, application_name=name, keep=False)
    connection.run("ping", {}, Deadline.after(ASKED_SECONDS, time.monotonic))


def _ask_spicedb(endpoint: SpiceDbEndpoint) -> None:
    from composer.deadline import Deadline
    from server.authz.admin import SpiceDbAdmin
    from server.authz.channel import SpiceDbChannel

    channel = SpiceDbChannel(endpoint, timeout=ASKED_SECONDS)
    try:
        SpiceDbAdmin(channel).read_schema(Deadline.after(ASKED_SECONDS, time.monotonic))
    finally:
        channel.close()
