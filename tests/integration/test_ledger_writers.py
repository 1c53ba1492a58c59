"""Writers at once: no deadlock, and no change of the peers that keeps its old revision."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.integration.ledger_places import Place
from tests.integration.ledger_rows import Hand, revision_seen_by

pytest_plugins = "tests.integration.ledger_fixtures"


def test_thirty_two_clients_register_without_deadlock(hand: Hand) -> None:
    domains = [hand.domain(), hand.domain()]

    def register(client: int) -> int:
        with closing(hand.session()) as session:
            for number in range(10):
                with session, session.cursor() as cursor:
                    # Every transaction writes to both Domains, half of them the other way round.
                    for domain in domains if client % 2 else reversed(domains):
                        cursor.execute(
                            "SELECT id FROM plexsphere.domains WHERE id = ANY (%s::uuid[])"
                            " ORDER BY id FOR NO KEY UPDATE",
                            ([str(domain_id) for domain_id in domains],),
                        )
                        cursor.execute(
                            "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip)"
                            " VALUES (gen_random_uuid(), %s, %s)",
                            (str(domain), f"10.1.{client}.{number}"),
                        )
        return 10

    with ThreadPoolExecutor(32) as clients:
        assert sum(clients.map(register, range(32))) == 320
    counts = hand.run(
        "SELECT count(*) FROM plexsphere.nodes WHERE domain_id = ANY (%s::uuid[])",
        [str(domain_id) for domain_id in domains],
    )
    assert counts == [(640,)]


def test_single_registrations_need_no_lock_of_their_own(hand: Hand) -> None:
    domain = hand.domain()

    def register(client: int) -> None:
        with closing(Hand(hand.dsn)) as own:
            for number in range(5):
                own.node(domain, 5 * client + number)

    with ThreadPoolExecutor(32) as clients:
        list(clients.map(register, range(32)))
    assert hand.run("SELECT count(*) FROM plexsphere.nodes WHERE domain_id = %s", domain) == [
        (160,)
    ]


Race = Callable[[Place], tuple[str, tuple[object, ...]]]
RACES: dict[str, Race] = {
    "a peer is assigned": lambda place: (
        "INSERT INTO plexsphere.bridge_relay_assignments VALUES (%s, %s, 'x', 1)",
        (place.resource, place.other),
    ),
    "a relay is disabled": lambda place: (
        "UPDATE plexsphere.bridge_relays SET enabled = false WHERE bridge_resource_id = %s",
        (place.resource,),
    ),
}


@pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())
def test_a_writer_that_waited_for_a_move_bumps_the_new_home(place: Place, race: Race) -> None:
    """It looked the Domain up before the move was committed, and that Domain is no longer right."""
    new_home = place.hand.domain()
    sql, arguments = race(place)
    with closing(place.hand.session()) as mover, mover.cursor() as cursor:
        everyone = [str(domain_id) for domain_id in (place.host, place.peer, place.other)]
        cursor.execute(
            "UPDATE plexsphere.nodes SET domain_id = %s WHERE id = ANY (%s::uuid[])",
            (str(new_home), everyone),
        )
        other = Hand(place.hand.dsn)
        writer = threading.Thread(target=other.run, args=(sql, *arguments))
        writer.start()
        _wait_for_a_blocked_writer(place.hand)
        moved = revision_seen_by(mover, new_home)
        mover.commit()
        writer.join()
        other.close()
    assert place.hand.revision(new_home) != moved


def _wait_for_a_blocked_writer(hand: Hand) -> None:
    for _ in range(200):
        if hand.run(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        ):
            return
        time.sleep(0.01)
    raise AssertionError("no writer came to wait")
