"""More than can be answered: each kind of request has threads of its own, a no comes at once."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from server.contract.document import Contract
from server.gunicorn.lanes import REMEMBERED
from tests.client import Reply, ask
from tests.small_gunicorn import Served, answer, small_gunicorn, status

THREADS = 8
REQUESTS = 2  # what is left for operations on the ledger, pulls and heartbeats apart
# A request waits for a thread for as long as a test takes, or for less time than a silent client.
PATIENT = {"THREADS": str(THREADS), "HEAD_TIMEOUT": "0.5", "ANSWER_DEADLINE": "60"}
HASTY = {"THREADS": str(THREADS), "HEAD_TIMEOUT": "1.5", "ANSWER_DEADLINE": "1"}
WAIT = b"GET /v1/nodes/wait HTTP/1.1\r\nHost: x\r\n%s\r\n"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with small_gunicorn(tmp_path_factory.mktemp("gunicorn"), PATIENT) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with small_gunicorn(tmp_path_factory.mktemp("gunicorn"), HASTY) as running:
        yield running


@pytest.fixture
def busy(patient: Served) -> Iterator[list[socket.socket]]:
    with busy_threads(patient) as clients:
        yield clients


@pytest.fixture
def busy_and_hasty(hasty: Served) -> Iterator[list[socket.socket]]:
    with busy_threads(hasty) as clients:
        yield clients


@contextmanager
def busy_threads(served: Served) -> Iterator[list[socket.socket]]:
    """All threads for operations on the ledger have a request that does not end."""
    with ExitStack() as stack:
        ask(served.url, "/stay")
        clients = [stack.enter_context(served.connect()) for _ in range(REQUESTS)]
        for client in clients:
            client.sendall(WAIT % b"")
        ask(served.url, f"/waiting/{REQUESTS}")
        try:
            yield clients
        finally:
            ask(served.url, "/go")
            assert [status(client) for client in clients] == [200] * REQUESTS


def let_time_pass(served: Served) -> None:
    """Longer than a request may wait for its answer: a silent client is let go after that."""
    with served.connect() as silent:
        assert silent.recv(1) == b""


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/nowhere"])
def test_what_is_no_operation_on_the_ledger_is_answered_beside_busy_threads(
    patient: Served, busy: list[socket.socket], path: str
) -> None:
    assert ask(patient.url, path).status == 200


def test_a_heartbeat_is_answered_beside_busy_threads(
    patient: Served, busy: list[socket.socket]
) -> None:
    assert ask(patient.url, "/v1/nodes/x/heartbeat", method="POST").status == 200


def test_a_request_waits_for_a_thread_and_is_answered(
    patient: Served, busy: list[socket.socket]
) -> None:
    with patient.connect() as waiting:
        waiting.sendall(WAIT % b"")
        ask(patient.url, "/go")
        assert status(waiting) == 200


def test_what_waited_for_too_long_is_503_and_the_connection_goes_on(
    hasty: Served, busy_and_hasty: list[socket.socket]
) -> None:
    with hasty.connect() as late:
        late.sendall(WAIT % b"X-Correlation-Id: mine\r\n")
        let_time_pass(hasty)
        ask(hasty.url, "/go")
        head, _, body = answer(late).partition(b"\r\n\r\n")
        assert_is_overloaded(head, body)
        assert b'"correlation_id":"mine"' in body and head.endswith(b"\r\nX-Correlation-Id: mine")
        late.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status(late) == 200


def assert_is_overloaded(head: bytes, body: bytes) -> None:
    contract = Contract.packaged()
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"Content-Type: application/problem+json\r\n" in head
    problem = json.loads(body)
    assert contract.problem.is_valid(problem)
    assert problem["code"] == "overloaded"
    declared = contract.operations["GetNodeState"].responses[503].problem_codes
    assert problem["code"] in declared
    _, _, seconds = head.partition(b"Retry-After: ")
    assert 1 <= int(seconds.split(b"\r\n")[0]) <= 3600


def test_who_would_wait_for_too_long_is_told_at_once_and_not_when_to_come_back_together(
    hasty: Served, busy_and_hasty: list[socket.socket]
) -> None:
    """Those that did not end at once have taught the lane how long a request takes."""
    for _ in range(REMEMBERED):
        let_time_pass(hasty)
        ask(hasty.url, "/go")
        assert [status(client) for client in busy_and_hasty] == [200] * REQUESTS
        ask(hasty.url, "/stay")
        for client in busy_and_hasty:
            client.sendall(WAIT % b"")
        ask(hasty.url, f"/waiting/{REQUESTS}")
    with ExitStack() as resources:
        crowd = [resources.enter_context(hasty.connect()) for _ in range(200)]
        for client in crowd:
            client.sendall(WAIT % b"")
        refused = [answer(client) for client in crowd[-20:]]
        ask(hasty.url, "/go")
    assert all(text.startswith(b"HTTP/1.1 503 ") for text in refused)
    waits = {text.partition(b"Retry-After: ")[2].split(b"\r\n")[0] for text in refused}
    assert len(waits) > 1


def test_a_refused_head_request_has_no_body(
    hasty: Served, busy_and_hasty: list[socket.socket]
) -> None:
    with hasty.connect() as late:
        late.sendall(b"HEAD /v1/nodes/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        let_time_pass(hasty)
        ask(hasty.url, "/go")
        received = b"".join(iter(lambda: late.recv(65_536), b""))
    assert received.startswith(b"HTTP/1.1 503 ") and received.endswith(b"\r\n\r\n")


def test_a_request_whose_client_has_left_is_not_served(
    patient: Served, busy: list[socket.socket]
) -> None:
    before = ask(patient.url, "/counted").body
    for _ in range(3):
        with patient.connect() as leaving:
            leaving.sendall(b"GET /v1/nodes/count HTTP/1.1\r\nHost: x\r\n\r\n")
    # one that stays is behind them in the queue: with its answer theirs are decided
    let_time_pass(patient)
    with patient.connect() as staying:
        staying.sendall(b"GET /v1/nodes/x HTTP/1.1\r\nHost: x\r\n\r\n")
        ask(patient.url, "/go")
        assert status(staying) == 200
    assert ask(patient.url, "/counted").body == before


def test_one_source_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    settings = {"SOURCE_CONNECTIONS": "10", "THREADS": "8"}
    with small_gunicorn(tmp_path, settings) as served, ExitStack() as resources:
        clients: list[socket.socket] = []
        for _ in range(100):  # the connection that found the service ready may still count
            client = resources.enter_context(served.connect())
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            with suppress(OSError, ValueError, IndexError):
                if status(client) == 200:
                    clients.append(client)
            if len(clients) == 10:
                break
        assert len(clients) == 10
        with served.connect() as refused:
            assert refused.recv(1) == b""
        clients[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert status(clients[0]) == 200
        clients[0].close()
        for client in clients[1:]:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert status(client) == 200


def through_proxy(served: Served, hops: str, path: str = "/v1/nodes/x") -> Reply:
    return ask(served.url, path, {"X-Forwarded-For": hops})


def test_behind_a_proxy_the_last_hop_that_is_no_proxy_is_the_source(tmp_path: Path) -> None:
    settings = {
        "SOURCE_CONNECTIONS": "2",
        "TRUSTED_PROXIES": "127.0.0.0/8, 10.0.0.0/8",
        "THREADS": "16",
    }
    with small_gunicorn(tmp_path, settings) as served, ExitStack() as resources:
        clients = [resources.enter_context(served.connect()) for _ in range(2)]
        for client in clients:
            client.sendall(WAIT % b"X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n")
        ask(served.url, "/waiting/2")
        assert through_proxy(served, "192.0.2.8").status == 200
        assert through_proxy(served, "192.0.2.8, 192.0.2.7, 10.0.0.3").status == 503
        assert through_proxy(served, "192.0.2.7, 192.0.2.8").status == 200
        assert through_proxy(served, "192.0.2.7", path="/livez").status == 200
        ask(served.url, "/go")
        assert [status(client) for client in clients] == [200, 200]
        assert through_proxy(served, "192.0.2.7").status == 200


def test_more_clients_than_descriptors_end_nothing(tmp_path: Path) -> None:
    """The idle ones make room."""
    with small_gunicorn(tmp_path, {"THREADS": "8"}, files=300) as served, ExitStack() as resources:
        for _ in range(400):
            resources.enter_context(served.connect())
        assert ask(served.url, "/").status == 200
        assert "exited" not in served.log.read_text()
