"""Relays that die and a SpiceDB that goes away: what was written is brought in the end, once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from composer.errors import AuthzUnavailable
from composer.identity import node_object
from server.dev.commands import REPOSITORY, plain_environment
from tests.integration.spicedb_parts import KEY, soon
from tests.outboxes import delete, new_domain, new_node, own_tuple, token_of, touch, waiting

if TYPE_CHECKING:
    from tests.integration.outbox_parts import Following

pytest_plugins = (
    "tests.integration.ledger_fixtures",
    "tests.integration.spicedb_parts",
    "tests.integration.outbox_parts",
)


def crash_between_spicedb_and_commit(both: Following) -> None:
    script = [sys.executable, "-m", "tests.integration.crashing_relay"]
    ended = subprocess.run(
        [*script, both.dsn, str(both.spicedb.port), KEY],
        cwd=REPOSITORY,
        env={**plain_environment(), "GRPC_ENABLE_FORK_SUPPORT": "0"},
        capture_output=True,
        timeout=60,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def drained_in_the_end(both: Following) -> int:
    """The killed one's locks go when Postgres notices."""
    deadline = time.monotonic() + 30
    while not (done := both.drain()):
        assert time.monotonic() < deadline
    return done


def test_a_relay_killed_between_spicedb_and_commit_leaves_its_rows_to_the_next(
    drained: Following,
) -> None:
    node = new_node(drained.dsn, new_domain(drained.dsn))
    seq = drained.write(node_object(node), *touch(own_tuple(node)))
    crash_between_spicedb_and_commit(drained)
    assert drained.taken() == {own_tuple(node)}
    assert (waiting(drained.dsn), token_of(drained.dsn, "nodes", node)) == ([seq], None)
    assert drained_in_the_end(drained) == 1
    assert drained.taken() == {own_tuple(node)}
    assert (waiting(drained.dsn), token_of(drained.dsn, "nodes", node) is None) == ([], False)


def test_a_row_written_after_a_crash_has_the_last_word(drained: Following) -> None:
    node = uuid4()
    drained.write(node_object(node), *touch(own_tuple(node)))
    crash_between_spicedb_and_commit(drained)
    drained.write(node_object(node), *delete(own_tuple(node)))
    assert drained_in_the_end(drained) == 2
    assert drained.taken() == set()


def test_rows_wait_for_a_frozen_spicedb_and_for_one_that_was_killed(drained: Following) -> None:
    node, spicedb = uuid4(), drained.spicedb
    drained.write(node_object(node), *touch(own_tuple(node)))
    spicedb.freeze()
    with pytest.raises(AuthzUnavailable):
        drained.relay.drain(100, soon())
    spicedb.kill()
    with pytest.raises(AuthzUnavailable):
        drained.relay.drain(100, soon())
    assert len(waiting(drained.dsn)) == 1
    spicedb.start()
    deadline = time.monotonic() + 30
    while waiting(drained.dsn):
        assert time.monotonic() < deadline
        try:
            drained.relay.drain(100, soon())
        except AuthzUnavailable:
            continue  # the channel finds its way back
    assert drained.taken() == {own_tuple(node)}


def test_a_request_that_gives_up_leaves_no_row_in_hand(drained: Following) -> None:
    """Its connection is ended with its transaction, so that the relay has the row at once."""
    node = uuid4()
    drained.write(node_object(node), *touch(own_tuple(node)))
    drained.spicedb.freeze()
    with pytest.raises(AuthzUnavailable):
        drained.relay.deliver(node_object(node), soon())
    drained.spicedb.thaw()
    assert drained_in_the_end(drained) == 1
