"""A sweep on real Postgres: every transition, at its second, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from db.statements import statement
from tests.integration.sweep_places import AS_EVERYWHERE, Silences
from tests.reachability_model import verdict

pytest_plugins = "tests.integration.ledger_fixtures"

# A sweep is as late as the test that asks for it; a margin (seconds) keeps slow machines out of it.
MARGIN = 30.0
STATES = ("", "healthy", "stale", "unreachable")


@pytest.fixture
def ledger(ledger_dsn: str) -> Iterator[Silences]:
    with closing(Silences(ledger_dsn)) as made:
        yield made


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("silent", "expected"),
    [(0, "healthy"), (90 - MARGIN, "healthy"), (90, "stale"), (300 - MARGIN, "stale"),
     (300, "unreachable"), (86_400 * 365, "unreachable"), (-5, "healthy")],
)  # fmt: skip
def test_a_state_is_what_the_silence_says(
    ledger: Silences, silent: float, state: str, expected: str
) -> None:
    node = ledger.node(silent, state)
    with ledger.evaluator() as sweep:
        sweep()
    assert ledger.state(node) == expected


@pytest.mark.parametrize(
    ("seconds", "before", "after"), [(90, "healthy", "stale"), (300, "stale", "unreachable")]
)
def test_the_threshold_is_a_moment_and_belongs_to_the_worse_state(
    ledger: Silences, seconds: float, before: str, after: str
) -> None:
    """By the statement's own clock: the moment of the transition is the moment it was judged at."""
    node = ledger.node(seconds - 0.5, before)
    with ledger.evaluator() as sweep:
        while ledger.state(node) == before:
            last = ledger.hand.run("SELECT clock_timestamp()")[0][0]
            sweep()
    state, heard, changed = ledger.row(node)
    assert state == after
    assert changed - heard >= timedelta(seconds=seconds)
    assert last <= changed


MICROSECOND = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("silent", "expected"),
    [(timedelta(seconds=90) - MICROSECOND, "healthy"), (timedelta(seconds=90), "stale"),
     (timedelta(seconds=300) - MICROSECOND, "stale"), (timedelta(seconds=300), "unreachable")],
)  # fmt: skip
def test_a_silence_of_exactly_the_threshold_is_that_long(
    ledger: Silences, silent: timedelta, expected: str
) -> None:
    """The statement itself, at a moment that the test chooses to the microsecond."""
    node = ledger.node(0)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.hand.run(
        "UPDATE plexsphere.nodes SET last_heartbeat_at = %s WHERE id = %s", moment - silent, node
    )
    chosen = f"timestamptz '{moment.isoformat()}'"
    sql = statement("evaluator_sweep").replace("statement_timestamp()", chosen)
    with ledger.hand.cursor() as used:
        used.execute(sql, AS_EVERYWHERE)
    assert ledger.state(node) == expected
    assert verdict("", moment - silent, moment) == expected


def test_a_node_never_heard_of_is_not_evaluated(ledger: Silences) -> None:
    node = ledger.node(None)
    before = ledger.row(node)
    with ledger.evaluator() as sweep:
        assert sweep().transitions == ()
        ledger.forward(3600)
        assert sweep().transitions == ()
    assert ledger.row(node) == before


def test_the_moment_of_change_moves_on_transitions_only(ledger: Silences) -> None:
    node = ledger.node(0)
    with ledger.evaluator() as sweep:
        sweep()
        first = ledger.row(node)[2]
        ledger.forward(60)
        ledger.hear(node)
        sweep()
        assert ledger.row(node)[2] == first
        ledger.forward(90)
        before = ledger.now()
        sweep()
    state, _, changed = ledger.row(node)
    assert (state, before <= changed <= ledger.now()) == ("stale", True)


def test_a_life_in_silence_and_back(ledger: Silences) -> None:
    node = ledger.node(0)
    seen = []
    with ledger.evaluator() as sweep:
        for seconds in (0, 60, 30, 209, 1):
            ledger.forward(seconds)
            seen.append(
                [
                    (transition.old_state, transition.new_state, transition.nodes)
                    for transition in sweep().transitions
                ]
            )
        ledger.hear(node)
        seen.append(
            [
                (transition.old_state, transition.new_state, transition.nodes)
                for transition in sweep().transitions
            ]
        )
    assert seen == [
        [("", "healthy", 1)],
        [],
        [("healthy", "stale", 1)],
        [],
        [("stale", "unreachable", 1)],
        [("unreachable", "healthy", 1)],
    ]


def test_a_domain_has_its_own_numbers_and_zero_means_the_services(ledger: Silences) -> None:
    quick, zero = ledger.hand.domain(), ledger.hand.domain()
    for domain, numbers in ((quick, ("10 s", "30 s", "60 s")), (zero, ("0", "0", "0"))):
        ledger.hand.run(
            "UPDATE plexsphere.domains SET heartbeat_interval = %s, stale_after = %s,"
            " unreachable_after = %s WHERE id = %s",
            *numbers,
            domain,
        )
    nodes = [ledger.node(silent, "", domain) for domain in (quick, zero) for silent in (5, 35, 65)]
    with ledger.evaluator() as sweep:
        sweep()
    assert [ledger.state(node) for node in nodes] == [
        *("healthy", "stale", "unreachable"),
        *("healthy", "healthy", "healthy"),
    ]


def test_a_sweep_writes_only_rows_that_change_and_no_revision(ledger: Silences) -> None:
    moving, quiet = ledger.node(100, "healthy"), ledger.node(0, "healthy")
    revision = ledger.hand.revision(ledger.domain)
    versions = "SELECT xmin::text FROM plexsphere.nodes WHERE id = %s"
    before = {node: ledger.hand.run(versions, node) for node in (moving, quiet)}
    with ledger.evaluator() as sweep:
        assert sweep().nodes == 1
    assert ledger.hand.run(versions, quiet) == before[quiet]
    assert ledger.hand.run(versions, moving) != before[moving]
    assert ledger.hand.revision(ledger.domain) == revision


def test_a_sweep_touches_no_index_where_pages_have_room(ledger: Silences) -> None:
    ledger.node(100, "healthy")
    with closing(ledger.hand.session()) as session, session.cursor() as used:
        used.execute(statement("evaluator_sweep"), AS_EVERYWHERE)
        used.execute(
            "SELECT pg_stat_get_xact_tuples_updated(t.oid),"
            " pg_stat_get_xact_tuples_hot_updated(t.oid)"
            " FROM (SELECT 'plexsphere.nodes'::regclass AS oid) AS t"
        )
        assert used.fetchall() == [(1, 1)]
        session.rollback()


def test_a_state_that_is_none_is_mended(ledger: Silences) -> None:
    node = ledger.node(100, "nonsense")
    with ledger.evaluator() as sweep:
        sweep()
    assert ledger.state(node) == "stale"


def test_a_transition_names_a_few_of_its_nodes(ledger: Silences) -> None:
    nodes = {str(ledger.node(0)) for _ in range(12)}
    with ledger.evaluator() as sweep:
        (transition,) = sweep().transitions
    assert (
        transition.nodes,
        len(set(transition.example_ids)),
        set(transition.example_ids) <= nodes,
    ) == (12, 10, True)


@pytest.mark.parametrize("seed", range(3))
def test_the_sweep_agrees_with_the_rules_one_node_at_a_time(ledger: Silences, seed: int) -> None:
    """Several sweeps over a few hundred random Nodes, with pauses and heartbeats in between."""
    random = Random(seed)
    policies = {ledger.domain: (90.0, 300.0)}
    for interval in (10, 60):
        domain = ledger.hand.domain()
        stale = interval * random.randint(3, 6)
        policies[domain] = (stale, stale * random.randint(2, 4))
        ledger.hand.run(
            "UPDATE plexsphere.domains SET heartbeat_interval = %s, stale_after = %s,"
            " unreachable_after = %s WHERE id = %s",
            *(timedelta(seconds=seconds) for seconds in (interval, *policies[domain])),
            domain,
        )
    domain_of = {}
    for _ in range(80):
        for domain in policies:
            # whole odd seconds, so that no silence is near a threshold while the test runs
            silent = random.choice([None, random.randrange(3, 800, 10)])
            domain_of[ledger.node(silent, random.choice(STATES), domain)] = domain
    watching_since, moved = None, 0
    with ledger.evaluator() as sweep:
        for _ in range(6):
            before = ledger.rows()
            swept = sweep()
            if swept.resumed:
                watching_since = ledger.now()
            expected = {
                node: verdict(
                    state,
                    heard,
                    ledger.now(),
                    watching_since,
                    *(timedelta(seconds=seconds) for seconds in policies[domain_of[node]]),
                )
                for node, (state, heard, _) in before.items()
            }
            assert {node: state for node, (state, *_) in ledger.rows().items()} == expected
            assert swept.nodes == sum(expected[node] != before[node][0] for node in domain_of)
            moved += swept.nodes
            for node in random.sample(sorted(domain_of), 40):
                ledger.hear(node)
            random.choice([ledger.forward, ledger.deaf])(random.choice([20, 70, 110, 240]))
    assert moved > 100
