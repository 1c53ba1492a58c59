"""The election of the evaluator, a pause of all of them, and writers beside a sweep."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from uuid import UUID

import pytest

from composer.errors import ComposerError, DatastoreUnavailable
from composer.reachability import Sweep
from db.heartbeat import PostgresHeartbeats
from db.pool import write_pool
from db.reachability import PostgresSweeps
from db.statements import statement
from tests.factories import agent_of
from tests.integration.ledger_fixtures import FreshDatabase
from tests.integration.ledger_rows import Hand
from tests.integration.sweep_places import AS_EVERYWHERE, Silences
from tests.ports.deadlines import in_time

HOLD = 4711

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def ledger(ledger_dsn: str) -> Iterator[Silences]:
    with closing(Silences(ledger_dsn)) as made:
        yield made


def test_one_of_sixteen_sweeps(ledger: Silences) -> None:
    ledger.node(0)
    all_of_them = [ledger.sweeps() for _ in range(16)]
    swept = [evaluator.sweep(in_time()) for evaluator in all_of_them]
    again = [evaluator.sweep(in_time()) for evaluator in all_of_them]
    assert [sweep is not None for sweep in swept] == [True] + [False] * 15
    assert [sweep is not None for sweep in again] == [True] + [False] * 15
    all_of_them.pop(0).close()
    given_up = time.monotonic() + 20
    while True:
        third = [evaluator.sweep(in_time()) for evaluator in all_of_them]
        if any(third):  # the server has noticed that the session is over
            break
        assert time.monotonic() < given_up
    fourth = [evaluator.sweep(in_time()) for evaluator in all_of_them]
    assert [sweep is not None for sweep in fourth] == [sweep is not None for sweep in third]
    assert sum(sweep is not None for sweep in third) == 1
    for evaluator in all_of_them:
        evaluator.close()


def test_sixteen_at_once_make_one_sweep(ledger: Silences) -> None:
    node = ledger.node(0)
    all_of_them = [ledger.sweeps() for _ in range(16)]
    together = threading.Barrier(16)

    def sweep_together(sweeps: PostgresSweeps) -> Sweep | None:
        together.wait()
        return sweeps.sweep(in_time())

    with ThreadPoolExecutor(16) as threads:
        swept = [found for found in threads.map(sweep_together, all_of_them) if found is not None]
    assert [found.nodes for found in swept] == [1]
    assert ledger.state(node) == "healthy"
    for sweeps in all_of_them:
        sweeps.close()


def test_an_elected_one_that_does_nothing_loses_its_session(ledger: Silences) -> None:
    """A frozen process, or a machine that is gone: its lock must not outlive it for long."""
    frozen, other = ledger.sweeps(interval=0.2), ledger.sweeps(interval=30.0)
    assert frozen.sweep(in_time()) is not None
    given_up = time.monotonic() + 20
    while other.sweep(in_time()) is None:
        assert time.monotonic() < given_up
        time.sleep(0.05)
    with pytest.raises(DatastoreUnavailable):
        frozen.sweep(in_time())
    assert frozen.sweep(in_time()) is None  # it thaws, and waits like the others
    frozen.close()
    other.close()


def test_the_lock_is_of_one_database(ledger: Silences, migrated_database: FreshDatabase) -> None:
    elsewhere = migrated_database()
    with ledger.evaluator() as sweep, closing(PostgresSweeps(elsewhere, 5.0)) as other:
        assert sweep() and other.sweep(in_time())


def test_a_ledger_never_migrated_is_an_error_and_no_more(fresh_database: FreshDatabase) -> None:
    with closing(PostgresSweeps(fresh_database(), 5.0)) as sweeps, pytest.raises(ComposerError):
        sweeps.sweep(in_time())


# --- a pause of everybody: nobody knows who would have been heard


def test_after_a_pause_nobody_gets_worse_at_once(ledger: Silences) -> None:
    healthy, stale = ledger.node(10, "healthy"), ledger.node(100, "stale")
    with ledger.evaluator() as sweep:
        assert sweep().resumed is False
        ledger.deaf(600)
        swept = sweep()
    assert (swept.resumed, swept.transitions) == (True, ())
    assert (ledger.state(healthy), ledger.state(stale)) == ("healthy", "stale")


def test_after_a_pause_silence_counts_from_its_end(ledger: Silences) -> None:
    node = ledger.node(10, "healthy")
    seen = []
    with ledger.evaluator() as sweep:
        sweep()
        ledger.deaf(600)
        for seconds in (0, 80, 10, 200, 10):
            ledger.forward(seconds)
            sweep()
            seen.append(ledger.state(node))
    assert seen == ["healthy", "healthy", "stale", "stale", "unreachable"]


def test_after_a_pause_a_heartbeat_is_good_news_at_once(ledger: Silences) -> None:
    node = ledger.node(400, "unreachable")
    with ledger.evaluator() as sweep:
        sweep()
        ledger.deaf(600)
        ledger.hear(node)
        sweep()
    assert ledger.state(node) == "healthy"


def test_after_a_pause_a_node_not_yet_evaluated_waits_for_proof(ledger: Silences) -> None:
    with ledger.evaluator() as sweep:
        sweep()
        node = ledger.node(10)
        ledger.deaf(600)
        sweep()
        assert ledger.state(node) == ""
        ledger.forward(90)
        sweep()
    assert ledger.state(node) == "stale"


def test_a_takeover_in_time_is_no_pause(ledger: Silences) -> None:
    node = ledger.node(0)
    with ledger.evaluator() as sweep:
        sweep()
    ledger.deaf(18)
    ledger.forward(80)
    with ledger.evaluator() as sweep:
        assert sweep().resumed is False
    assert ledger.state(node) == "stale"


def test_a_watch_goes_on_past_a_change_of_evaluators(ledger: Silences) -> None:
    node = ledger.node(10, "healthy")
    for paused, forward, expected in ((0, 0, "healthy"), (600, 0, "healthy"), (0, 90, "stale")):
        ledger.deaf(paused)
        ledger.forward(forward)
        with ledger.evaluator() as sweep:
            sweep()
        assert ledger.state(node) == expected


def test_a_sweep_by_hand_minds_the_pause_of_one_that_runs(ledger: Silences) -> None:
    node = ledger.node(10, "healthy")
    by_hand = ledger.sweeps()
    with ledger.evaluator() as sweep:
        sweep()
        ledger.deaf(600)
        sweep()
        assert by_hand.sweep_once(in_time()).transitions == ()
    by_hand.close()
    assert ledger.state(node) == "healthy"


def test_a_sweep_by_hand_without_one_that_runs_says_what_the_silence_says(
    ledger: Silences,
) -> None:
    node, by_hand = ledger.node(100, "healthy"), ledger.sweeps()
    assert by_hand.sweep_once(in_time()).nodes == 1
    by_hand.close()
    assert ledger.state(node) == "stale"
    assert ledger.hand.run("SELECT 1 FROM plexsphere.evaluator_watch") == []


def test_a_clock_that_was_set_back_makes_nobody_worse(ledger: Silences) -> None:
    node = ledger.node(0)
    with ledger.evaluator() as sweep:
        sweep()
        ledger.hand.run(
            "UPDATE plexsphere.evaluator_watch SET swept_at = swept_at + interval '1 h',"
            " watching_since = now() + interval '1 h'"
        )
        assert sweep().transitions == ()
        ledger.forward(90)
        sweep()
    assert ledger.state(node) == "stale"


# --- writers beside it


def test_a_heartbeat_that_commits_before_the_update_wins(ledger: Silences) -> None:
    """The statement has its snapshot with the old heartbeats, and then the service writes one."""
    late, silent = ledger.node(100, "healthy"), ledger.node(100, "healthy")
    began = "statement_timestamp() AS real_time"
    sql = statement("evaluator_sweep")
    assert began in sql
    slow = sql.replace(began, f"{began}, pg_advisory_xact_lock({HOLD})::text AS held")

    def sweep() -> None:
        with closing(Hand(ledger.dsn)) as hand, hand.cursor() as used:
            used.execute(slow, AS_EVERYWHERE)

    with closing(ledger.hand.session()) as other, other.cursor() as used:
        used.execute("SELECT pg_advisory_xact_lock(%s)", (HOLD,))
        with ThreadPoolExecutor(1) as thread:
            swept = thread.submit(sweep)
            wait_for_a_waiter(ledger)
            ledger.hear(late)
            other.commit()
            swept.result()
    assert (ledger.state(late), ledger.state(silent)) == ("healthy", "stale")


def wait_for_a_waiter(ledger: Silences) -> None:
    given_up = time.monotonic() + 20
    while not ledger.hand.run(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted", HOLD
    ):
        assert time.monotonic() < given_up
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["FOR UPDATE", "FOR NO KEY UPDATE", "FOR KEY SHARE"])
def test_a_row_that_somebody_holds_is_left_for_the_next_sweep(ledger: Silences, how: str) -> None:
    held, free = ledger.node(100, "healthy"), ledger.node(100, "healthy")
    with (
        closing(ledger.hand.session()) as other,
        other.cursor() as used,
        ledger.evaluator() as sweep,
    ):
        used.execute(f"SELECT FROM plexsphere.nodes WHERE id = %s {how}", (str(held),))
        # What points at a Node locks its key only, and that is in nobody's way.
        expected = "stale" if how == "FOR KEY SHARE" else "healthy"
        sweep()
        assert (ledger.state(held), ledger.state(free)) == (expected, "stale")
        other.rollback()
        sweep()
    assert ledger.state(held) == "stale"


def test_a_registration_in_progress_is_waited_for_by_nobody(ledger: Silences) -> None:
    node = ledger.node(100, "healthy")
    with (
        closing(ledger.hand.session()) as other,
        other.cursor() as used,
        ledger.evaluator() as sweep,
    ):
        used.execute("SELECT FROM plexsphere.domains FOR UPDATE")
        sweep()
        other.rollback()
    assert ledger.state(node) == "stale"


def test_heartbeats_while_sweeps_go_on_are_all_kept_and_never_judged_wrongly(
    ledger: Silences,
) -> None:
    """Live Nodes speak all the time and are healthy at every look; silent ones are stale."""
    live = [ledger.node(200, "stale") for _ in range(20)]
    silent = [ledger.node(200, "stale") for _ in range(20)]
    writes = write_pool(ledger.dsn, size=4, statement_timeout=5.0, lock_timeout=5.0)
    heartbeats = PostgresHeartbeats(writes, lambda: ledger.ahead)
    accepted = {}

    def speak(node: UUID) -> None:
        for _ in range(10):
            heard = heartbeats.heartbeat(agent_of(1), node, datetime.now(UTC), None, in_time())
            accepted[node] = heard.accepted_at

    wrong = []
    with ledger.evaluator() as sweep, ThreadPoolExecutor(4) as threads:
        speaking = [threads.submit(speak, node) for node in live]
        sweeps = 0
        while sweeps < 3 or not all(future.done() for future in speaking):
            moved = sweep().transitions
            wrong += [
                transition
                for transition in moved
                if (transition.old_state, transition.new_state) != ("stale", "healthy")
            ]
            sweeps += 1
        for future in speaking:
            future.result()
        sweep()
    writes.close()
    assert wrong == []
    rows = ledger.rows()
    assert {node: rows[node][1] for node in live} == accepted
    assert {rows[node][0] for node in live} == {"healthy"}
    assert {rows[node][0] for node in silent} == {"stale"}
