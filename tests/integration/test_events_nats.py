"""The connection to a real NATS server: credentials, TLS, a server that goes and comes back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree
from uuid import uuid4

import pytest
from nats.aio.client import Client

from composer.errors import EventStreamUnavailable
from composer.events import LedgerEvent
from server.cli.diagnosis import nats_check
from server.dev.nats import nats_server
from server.dev.ports import HOST, free_ports
from server.dev.process import Command, Process, wait_until
from server.events.endpoint import NatsEndpoint
from server.events.jetstream import StreamWriter
from server.events.nats import STREAM, ensured_stream
from tests.factories import DOMAIN
from tests.integration.nats_fixtures import OwnNats, connected
from tests.keys_of_tls import certificate_for_loopback
from tests.nats_accounts import Operator

pytest_plugins = "tests.integration.nats_fixtures"

SECONDS = 10.0


def row() -> LedgerEvent:
    """A row that was never published."""
    return LedgerEvent(1, uuid4(), DOMAIN, None, "peer", None)


async def stored(client: Client) -> int:
    """Store a message; how many there are then."""
    jetstream, _ = await ensured_stream(client)
    await jetstream.publish("plexsphere.events.domain.x", b"event", timeout=5)
    return (await jetstream.stream_info(STREAM)).state.messages


def test_a_stream_outlives_its_server_and_the_connection_comes_back(nats: OwnNats) -> None:
    with connected(nats.endpoint) as connection:
        assert connection.call(stored, SECONDS) == 1
        nats.part.kill()
        with pytest.raises(EventStreamUnavailable):
            connection.call(stored, 0.5)
        nats.part.start()
        assert connection.call(stored, SECONDS) == 2


def test_a_replaced_publisher_cannot_append_behind_its_successor(nats: OwnNats) -> None:
    with connected(nats.endpoint) as connection:
        frozen, successor = StreamWriter(connection, 1), StreamWriter(connection, 1)
        frozen.open()
        successor.open()
        successor.append(row(), b"event")
        with pytest.raises(EventStreamUnavailable):
            frozen.append(row(), b"late")
        assert connection.call(stored, SECONDS) == 2


def test_an_older_copy_of_the_stream_is_made_anew(nats: OwnNats, tmp_path: Path) -> None:
    with connected(nats.endpoint) as connection:
        writer = StreamWriter(connection, 1)

        def append() -> int:
            """Writes once; the number of messages then."""
            writer.open()
            writer.append(row(), b"event")
            return connection.call(stored, SECONDS) - 1

        assert append() == 1
        nats.part.stop()
        copytree(nats.store, tmp_path / "older")
        nats.part.start()
        assert append() == 3
        nats.part.kill()
        rmtree(nats.store)
        copytree(tmp_path / "older", nats.store)
        nats.part.start()
        assert append() == 1
        assert append() == 3


def test_what_jetstream_refuses_is_the_same_as_nats_away(nats: OwnNats) -> None:
    """Such as a cluster without a leader, or a stream that somebody has deleted."""

    async def no_stream(client: Client) -> None:
        await client.jetstream().stream_info("no_such_stream")

    with connected(nats.endpoint) as connection, pytest.raises(EventStreamUnavailable):
        connection.call(no_stream, SECONDS)


def test_a_process_starts_before_its_server(nats: OwnNats) -> None:
    nats.part.stop()
    with connected(nats.endpoint) as connection:
        connection.start()
        with pytest.raises(EventStreamUnavailable):
            connection.call(stored, 0.2)
        nats.part.start()
        assert connection.call(stored, SECONDS) == 1


def test_a_frozen_server_is_an_error_in_time(nats: OwnNats) -> None:
    with connected(nats.endpoint) as connection:
        connection.call(stored, SECONDS)
        nats.part.freeze()
        try:
            with pytest.raises(EventStreamUnavailable):
                connection.call(stored, 0.3)
        finally:
            nats.part.thaw()
        assert connection.call(stored, SECONDS) >= 2


def test_wrong_credentials_are_refused_until_the_file_is_right(
    nats: OwnNats, tmp_path: Path
) -> None:
    assert nats.endpoint.credentials is not None
    file = tmp_path / "credentials"
    file.write_text("plexsphere:wrong\n")
    with connected(replace(nats.endpoint, credentials=file)) as connection:
        with pytest.raises(EventStreamUnavailable):
            connection.call(stored, 0.5)
        file.write_text(nats.endpoint.credentials.read_text())
        assert connection.call(stored, SECONDS) == 1


def test_the_doctor_asks_for_jetstream_and_makes_nothing(nats: OwnNats) -> None:
    check = nats_check(nats.endpoint)
    assert (check.ok, "the relay makes the stream" in check.detail) == (True, True)
    with connected(nats.endpoint) as connection:
        connection.call(stored, SECONDS)
    assert "1 event in the stream, on 1 server" in nats_check(nats.endpoint).detail
    nowhere = replace(nats.endpoint, urls=(f"nats://{HOST}:{free_ports(1)[0]}",))
    refused = nats_check(nowhere)
    assert (refused.ok, "PLEXSPHERE_NATS_URL" in refused.remedy) == (False, True)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[NatsEndpoint]:
    """A server that demands TLS, and users of an account."""
    certificate, key = certificate_for_loopback(tmp_path)
    operator, port = Operator(), free_ports(1)[0]
    credentials = tmp_path / "user.creds"
    credentials.write_text(operator.credentials())
    configuration = tmp_path / "nats.conf"
    configuration.write_text(
        f'listen: "{HOST}:{port}"\njetstream {{ store_dir: "{tmp_path}/store" }}\n'
        f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}\n{operator.configuration}'
    )
    log = tmp_path / "log"
    process = Process(
        Command(
            name="nats",
            argv=[str(nats_server()), "-c", str(configuration)],
            env={},
            cwd=tmp_path,
            death_signal=signal.SIGKILL,
            log=log,
        )
    )
    try:
        wait_until(lambda: "Server is ready" in log.read_text(), process, SECONDS, "ready")
        yield NatsEndpoint((f"tls://{HOST}:{port}",), credentials, ca=certificate)
    finally:
        process.kill()


def test_tls_with_a_known_certificate_and_a_user_of_the_account(
    secured: NatsEndpoint, tmp_path: Path
) -> None:
    with connected(secured) as connection:
        assert connection.call(stored, SECONDS) == 1
    stranger = tmp_path / "stranger.creds"
    stranger.write_text(Operator().credentials())
    for endpoint in (
        replace(secured, ca=None),
        replace(secured, credentials=stranger),
        replace(secured, credentials=None),
    ):
        with connected(endpoint) as connection, pytest.raises(EventStreamUnavailable):
            connection.call(stored, 0.5)


def test_a_server_without_tls_gets_no_credentials(nats: OwnNats) -> None:
    unencrypted = replace(nats.endpoint, urls=(nats.endpoint.urls[0].replace("nats:", "tls:"),))
    with connected(unencrypted) as connection:
        with pytest.raises(EventStreamUnavailable):
            connection.call(stored, 0.5)
        assert not connection.is_connected
