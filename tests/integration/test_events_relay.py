"""The publisher on real Postgres and real NATS: in order, once, and when a part is away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from nats.aio.client import Client

from composer.errors import EventKeyInTransition, EventStreamUnavailable
from db.connections import ReadSession, SingleConnection, WriteSession
from db.event_keys import PostgresEventKeys
from db.events import PostgresEvents
from server.events.keys import EncryptedEventKeys
from server.events.nats import STREAM, NatsConnection
from server.events.publisher import DiscardedEvents, EventPublisher, event_publisher
from server.settings import Settings
from tests.envelope_verifier import Verified, verify
from tests.factories import DOMAIN, key_bytes, node_id
from tests.integration.ledger_rows import Hand
from tests.integration.nats_fixtures import OwnNats, connected
from tests.ports.deadlines import in_time
from tests.waiting import until

pytest_plugins = ("tests.integration.ledger_fixtures", "tests.integration.nats_fixtures")

KEK = bytes(range(32))
SECONDS = 10.0
OTHER_DOMAIN = UUID(int=DOMAIN.int + 1)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hand(emptied: Hand) -> Hand:
    """On a ledger with two Domains and no event."""
    emptied.run("DELETE FROM plexsphere.events")
    for domain in (DOMAIN, OTHER_DOMAIN):
        emptied.insert("domains", id=domain)
    return emptied


@pytest.fixture
def settings(hand: Hand, nats: OwnNats) -> Settings:
    return Settings(
        dsn=hand.dsn,
        event_kek=(KEK,),
        nats_url=nats.endpoint.urls,
        nats_credentials=str(nats.endpoint.credentials),
    )


@contextmanager
def publisher(settings: Settings) -> Iterator[EventPublisher]:
    unsigned: list[object] = []
    with event_publisher(settings, lambda *found: unsigned.append(found), print) as made:
        assert isinstance(made, EventPublisher)
        made.unsigned = unsigned  # type: ignore[attr-defined]
        yield made


def publish_all(made: EventPublisher) -> int:
    """The number of events that went to the stream."""
    total = 0
    while (batch := made.publish()) is not None:
        total += batch.events
        if not batch.more:
            return total
    raise AssertionError("another process is elected")


def add_nodes(hand: Hand, *numbers: int, domain: UUID = DOMAIN) -> None:
    for number in numbers:
        hand.node(domain, number, id=node_id(number))


async def messages(client: Client) -> list[tuple[str, str, str, bytes]]:
    """(subject, message id, Domain, data) of everything in the stream, in order."""
    jsm = client.jsm()
    state = (await jsm.stream_info(STREAM)).state
    stored = [await jsm.get_msg(STREAM, seq) for seq in range(state.first_seq, state.last_seq + 1)]
    return [
        (message.subject or "", headers["Nats-Msg-Id"], headers["Plexsphere-Domain"], data or b"")
        for message in stored
        for headers, data in [(message.headers or {}, message.data)]
    ]


@pytest.fixture
def reader(nats: OwnNats) -> Iterator[NatsConnection]:
    with connected(nats.endpoint) as connection:
        yield connection


def types(reader: NatsConnection) -> list[tuple[str, str]]:
    """(type, node_id) of the events in the stream."""
    data = [json.loads(found[3]) for found in reader.call(messages, SECONDS)]
    return [(event["type"], event["payload"].get("node_id", "")) for event in data]


def trusted(hand: Hand) -> dict[str, bytes]:
    sql = "SELECT key_id, public_key FROM plexsphere.event_keys WHERE domain_id = %s"
    return {key_id: bytes(key) for key_id, key in hand.run(sql, DOMAIN)}


def verified(hand: Hand, data: bytes) -> Verified:
    return verify(data, trusted(hand), {f"domain:{DOMAIN}", f"node:{node_id(1)}"})


def test_events_are_in_the_stream_in_order_signed_and_marked(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    add_nodes(hand, 1, 2)
    hand.insert("node_state_entries", node_id=node_id(1), kind="metadata", key="a", value="1 < 2")
    hand.run("DELETE FROM plexsphere.nodes WHERE id = %s", node_id(2))
    with publisher(settings) as made:
        assert publish_all(made) == 4
        assert publish_all(made) == 0
    found = reader.call(messages, SECONDS)
    events = [verified(hand, data) for *_, data in found]
    assert [event.type for event in events] == [
        *("peer_added", "peer_added", "node_state_updated", "peer_removed")
    ]
    assert [event.id for event in events] == [message_id for _, message_id, _, _ in found]
    assert [subject for subject, *_ in found] == [
        *[f"plexsphere.events.domain.{DOMAIN}"] * 2,
        f"plexsphere.events.node.{node_id(1)}",
        f"plexsphere.events.domain.{DOMAIN}",
    ]
    assert {domain for _, _, domain, _ in found} == {str(DOMAIN)}
    assert events[2].payload == {"metadata": [{"key": "a", "value": "1 < 2"}], "data": []}
    assert hand.run("SELECT seq FROM plexsphere.events WHERE published_at IS NULL") == []


def test_a_publisher_that_died_before_it_marked_publishes_nothing_twice(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    add_nodes(hand, 1, 2, 3)
    with publisher(settings) as made:
        publish_all(made)
    hand.run("UPDATE plexsphere.events SET published_at = NULL")
    add_nodes(hand, 4)
    with publisher(settings) as made:
        publish_all(made)
    assert [node for _, node in types(reader)] == [str(node_id(n)) for n in (1, 2, 3, 4)]


def test_nats_away_loses_nothing_and_delays_nobody_else(
    hand: Hand, nats: OwnNats, settings: Settings, reader: NatsConnection
) -> None:
    with publisher(settings) as made:
        add_nodes(hand, 1)
        publish_all(made)
        nats.part.kill()
        add_nodes(hand, 2, 3)
        with pytest.raises(EventStreamUnavailable):
            made.publish()
        nats.part.start()
        assert publish_all(made) == 2
    assert [node for _, node in types(reader)] == [str(node_id(n)) for n in (1, 2, 3)]


def test_one_publisher_is_elected_and_another_takes_over(hand: Hand, settings: Settings) -> None:
    with publisher(settings) as second:
        with publisher(settings) as first:
            assert first.publish() is not None
            assert second.publish() is None
        # Postgres notices by itself that the session is over.
        until(lambda: second.publish() is not None, "nobody is elected")
        add_nodes(hand, 1)
        assert publish_all(second) == 1


def test_an_event_waits_for_the_commit_of_its_ledger_row(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    with publisher(settings) as made, closing(Hand(hand.dsn)) as writer:
        writer.run("BEGIN")
        add_nodes(writer, 1)
        assert publish_all(made) == 0
        writer.run("COMMIT")
        assert publish_all(made) == 1


def test_a_line_that_agents_cannot_read_says_pull(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    add_nodes(hand, 1)
    for key, size in (("a", 60_000), ("b", 5_000)):
        hand.insert(
            *("node_state_entries",), node_id=node_id(1), kind="data", key=key, value="<" * size
        )
    with publisher(settings) as made:
        publish_all(made)
    *_, first, second = (verified(hand, found[3]) for found in reader.call(messages, SECONDS))
    assert first.type == second.type == "node_state_updated"
    assert first.payload == second.payload == {"pull_required": True}


def test_more_changed_peers_than_events_are_worth_are_one_event(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    hand.run(
        "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
        " SELECT gen_random_uuid(), %s, '10.42.0.0'::inet + n, sha256(int8send(n))"
        " FROM generate_series(1, 1001) AS n",
        DOMAIN,
    )
    with publisher(settings) as made:
        assert publish_all(made) == 1
    assert types(reader) == [("resync_required", "")]


def test_a_rotation_is_signed_by_the_key_before_and_later_events_by_the_new_one(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    source = EncryptedEventKeys(KEK)
    with ExitStack() as open_ones:
        reads, writes = (
            open_ones.enter_context(
                closing(SingleConnection(hand.dsn, access, application_name="test"))
            )
            for access in (ReadSession, WriteSession)
        )
        keys = PostgresEventKeys(reads, writes, source)
        before = keys.current(DOMAIN, in_time())
        add_nodes(hand, 1)  # its event is published after the rotation
        rotated = keys.rotate(DOMAIN, timedelta(hours=1), "user:ada", in_time())
        with pytest.raises(EventKeyInTransition):
            keys.rotate(DOMAIN, timedelta(hours=1), "user:ada", in_time())
    add_nodes(hand, 2)
    with publisher(settings) as made:
        publish_all(made)
    events = [verified(hand, data) for *_, data in reader.call(messages, SECONDS)]
    assert [(event.type, event.key_id) for event in events] == [
        ("peer_added", before.id),
        ("signing_key_rotated", before.id),
        ("peer_added", rotated.key.id),
    ]
    assert events[1].payload == {
        "key_id": rotated.key.id,
        "public_key": b64encode(rotated.key.public_key).decode(),
        "previous_key_id": before.id,
        "transition_expires": rotated.transition_expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def test_a_domain_whose_key_does_not_decrypt_holds_up_no_other(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    with publisher(settings) as made:
        add_nodes(hand, 1)
        publish_all(made)
    hand.run("UPDATE plexsphere.event_keys SET encrypted_private_key = decode('00', 'hex')")
    add_nodes(hand, 2)
    add_nodes(hand, 3, domain=OTHER_DOMAIN)
    with publisher(settings) as made:
        assert publish_all(made) == 1
        assert [domain for domain, _ in made.unsigned] == [DOMAIN]  # type: ignore[attr-defined]
    assert [node for _, node in types(reader)] == [str(node_id(n)) for n in (1, 3)]
    waiting = hand.run("SELECT domain_id::text FROM plexsphere.events WHERE published_at IS NULL")
    assert waiting == [(str(DOMAIN),)]


def test_a_corrupt_node_is_no_event_until_it_is_valid(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    hand.node(DOMAIN, 1, id=node_id(1), public_key=b"short")
    before = counted(hand)
    with publisher(settings) as made:
        assert publish_all(made) == 0
        hand.run("UPDATE plexsphere.nodes SET public_key = %s", key_bytes(1))
        hand.run("UPDATE plexsphere.nodes SET mesh_ip = '10.42.0.99'")
        hand.run("UPDATE plexsphere.nodes SET public_key = %s", key_bytes(2))
        hand.run("UPDATE plexsphere.nodes SET mesh_ip = '0.0.0.0'")
        publish_all(made)
    assert [type for type, _ in types(reader)] == [
        *("peer_added", "peer_added", "peer_key_rotated", "peer_removed")
    ]
    assert counted(hand) - before == 4


def counted(hand: Hand) -> int:
    """Events that were published, as the ledger counts them."""
    with closing(PostgresEvents(hand.dsn)) as events:
        return events.lag(in_time()).published


def relay_environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PLEXSPHERE_DSN": settings.dsn,
        "PLEXSPHERE_EVENT_KEK": b64encode(settings.event_kek[0]).decode(),
        "PLEXSPHERE_NATS_URL": settings.nats_url[0],
        "PLEXSPHERE_NATS_CREDENTIALS": settings.nats_credentials,
        # No SpiceDB is there: events do not wait for it.
        "PLEXSPHERE_SPICEDB_ENDPOINT": "127.0.0.1:1",
        "PLEXSPHERE_SPICEDB_TOKEN": "token",
        "PLEXSPHERE_SPICEDB_INSECURE": "1",
    }


@contextmanager
def relay_process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """The command, killed in the end."""
    command = [sys.executable, "-m", "server.cli", "relay"]
    with subprocess.Popen(
        command, env=relay_environment(settings), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line of its log; fails once the process has ended."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the relay has ended"
    return line


def test_kill_9_of_the_relay_loses_nothing_and_repeats_nothing(
    hand: Hand, settings: Settings, reader: NatsConnection
) -> None:
    numbers = range(1, 61)
    with relay_process(settings) as first:
        for number in numbers:
            add_nodes(hand, number)
            if number == 30:
                # It is at work now, whatever it has published so far.
                while "events_published" not in line_of(first):
                    pass
                first.kill()
                first.wait()
    with relay_process(settings) as second:
        while hand.run("SELECT seq FROM plexsphere.events WHERE published_at IS NULL LIMIT 1"):
            line_of(second)
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert [node for _, node in types(reader)] == [str(node_id(number)) for number in numbers]


AGED = (
    "UPDATE plexsphere.events SET created_at = created_at - interval '2 hours',"
    " published_at = published_at - interval '2 hours' WHERE seq <= %s"
)


def rows(hand: Hand) -> list[tuple[int, bool]]:
    """(seq, whether it is published) of every row."""
    return hand.run("SELECT seq, published_at IS NOT NULL FROM plexsphere.events ORDER BY seq")


def test_published_rows_are_deleted_an_hour_later_in_batches(
    hand: Hand, settings: Settings
) -> None:
    with publisher(settings) as made:
        add_nodes(hand, 1, 2, 3, 4)
        publish_all(made)
        add_nodes(hand, 5)
        before = rows(hand)
        hand.run(AGED, before[2][0])
        assert [made.delete_old(limit=2), made.delete_old(limit=2)] == [True, False]
        assert rows(hand) == before[3:]
        hand.run(AGED, before[-1][0])
        made.delete_old()
        assert rows(hand) == before[4:]  # it waits, however old it is


def test_without_a_stream_old_events_are_deleted(hand: Hand, settings: Settings) -> None:
    with publisher(settings) as made:
        add_nodes(hand, 1)
        publish_all(made)
    add_nodes(hand, 2, 3)
    before = rows(hand)
    hand.run(AGED, before[1][0])
    none = replace(settings, event_kek=())
    with event_publisher(none, lambda *found: None, print) as made:
        assert isinstance(made, DiscardedEvents)
        assert not made.delete_old()
    assert rows(hand) == before[2:]
