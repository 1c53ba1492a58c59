"""The checker while SpiceDB is killed, frozen or slow, and after a fork."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from composer.errors import AuthzUnavailable
from composer.identity import Principal, RelationChecker
from server.authz.channel import SpiceDbChannel
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.endpoint import SpiceDbEndpoint
from server.dev.ports import HOST
from tests.integration.marked_proxy import MarkedProxy
from tests.integration.spicedb_parts import (
    KEY,
    PERMITS,
    SpiceDb,
    own_agent,
    soon,
    spicedb_in,
)

pytest_plugins = "tests.integration.spicedb_parts"

CALLERS = 16


def test_a_killed_spicedb_is_used_again_when_it_is_back(tmp_path: Path) -> None:
    with spicedb_in(tmp_path) as running:
        checker = running.checker()
        agent = own_agent(running)
        assert checker.check(agent, "node-agent", agent.subject, soon()) is True
        running.kill()
        for _ in range(3):
            with pytest.raises(AuthzUnavailable):
                checker.check(agent, "node-agent", agent.subject, soon())
        running.places.tuples.write_text(f"{agent.subject}#agent@{agent.subject}\n")
        running.start()
        assert allowed_within(5, checker, agent)


def test_a_frozen_spicedb_holds_one_call_and_every_caller_is_refused(spicedb: SpiceDb) -> None:
    """One caller has the call, which its timeout ends. The others wait for it, for less time and
    without a permit."""
    agent, checker = own_agent(spicedb), spicedb.checker(timeout=1.5)
    assert checker.check(agent, "node-agent", agent.subject, soon()) is True
    together = threading.Barrier(CALLERS)

    def reason(_: int) -> str:
        together.wait()
        with pytest.raises(AuthzUnavailable) as refused:
            checker.check(agent, "node-agent", agent.subject, soon())
        return str(refused.value)

    spicedb.freeze()
    try:
        with ThreadPoolExecutor(CALLERS) as threads:
            reasons = list(threads.map(reason, range(CALLERS)))
    finally:
        spicedb.thaw()
    waited = re.compile("earlier checks took too long|SpiceDB is in trouble")
    (call,) = [text for text in reasons if not waited.match(text)]
    assert "DEADLINE_EXCEEDED" in call
    assert allowed_within(5, checker, agent)


def test_a_way_to_spicedb_that_died_without_a_word_is_left_for_a_new_one(spicedb: SpiceDb) -> None:
    """As behind a NAT that forgot the connection: nothing comes back on it, ever."""
    proxy = MarkedProxy(HOST, spicedb.port)
    endpoint = SpiceDbEndpoint(f"{HOST}:{proxy.port}", KEY, insecure=True)
    checker = SpiceDbChecker(SpiceDbChannel(endpoint, timeout=1.0), ConcurrencyLimit(PERMITS))
    agent = own_agent(spicedb)
    assert checker.check(agent, "node-agent", agent.subject, soon()) is True
    with proxy.cutting(b"", silently=True), pytest.raises(AuthzUnavailable):
        checker.check(agent, "node-agent", agent.subject, soon())
    assert allowed_within(5, checker, agent)
    proxy.close()


def test_a_budget_that_is_nearly_spent_bounds_the_call(spicedb: SpiceDb) -> None:
    agent, checker = own_agent(spicedb), spicedb.checker(timeout=30)
    spicedb.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(AuthzUnavailable):
            checker.check(agent, "node-agent", agent.subject, soon(0.3))
        assert time.monotonic() - began < 5
    finally:
        spicedb.thaw()


def test_a_channel_inherited_through_a_fork_is_left_to_the_parent(
    spicedb: SpiceDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    spicedb.admin.ping(soon())
    parents = spicedb.channel._connection
    monkeypatch.setattr(os, "getpid", lambda: -1)
    spicedb.admin.ping(soon())
    assert spicedb.channel._connection is not parents
    spicedb.channel.close()
    monkeypatch.undo()
    spicedb.admin.ping(soon())


def allowed_within(seconds: float, checker: RelationChecker, agent: Principal) -> bool:
    """Whether the outage ends for this checker, which is made no new one."""
    deadline = soon(seconds)
    while deadline.remaining():
        try:
            return checker.check(agent, "node-agent", agent.subject, deadline)
        except AuthzUnavailable:
            time.sleep(0.02)
    return False
