"""The requests of a simulated agent, and its reading of answers: as plexd does both."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import time
from contextlib import suppress
from threading import Thread

import pytest

from server.fleet.agents import Agent
from server.fleet.simulation import Run, Simulation
from server.fleet.tally import HEARTBEAT, PULL, TOKEN
from server.fleet.wire import NO_ANSWER, UNREADABLE, send
from tests.control_plane import Control, control_plane


def test_an_agent_sends_the_requests_of_plexd() -> None:
    with control_plane() as url:
        agent = Agent(url, "n-1", "d-1", "secret", conditional=True)
        assert [agent.heartbeat().status, agent.pull().status, agent.pull().status] == [
            200,
            200,
            304,
        ]
    beat, pull, again = Control.seen
    assert beat[:2] == ("POST", "/v1/nodes/n-1/heartbeat")
    assert set(json.loads(beat[3])) == {
        "client_now",
        "binary_checksum",
        "binary_version",
        "nat_summary",
    }
    assert pull[2]["Accept-Encoding"] == "gzip"
    assert pull[2]["Authorization"] == "Bearer secret"
    assert pull[2]["User-Agent"].startswith("plexd/")
    assert ("If-None-Match" in pull[2], again[2]["If-None-Match"]) == (False, 'W/"x"')
    assert agent.picture.desired_state["bridge"] is not None


@pytest.mark.parametrize(("size", "coding"), [(900, None), (2_000, "gzip")])
def test_only_a_large_body_is_sent_compressed(size: int, coding: str | None) -> None:
    with control_plane() as url:
        send(url, "POST", "/v1/x", "t", {"value": "x" * size})
    _, _, headers, body = Control.seen[0]
    assert headers.get("Content-Encoding") == coding
    sent = gzip.decompress(body) if coding else body
    assert json.loads(sent) == {"value": "x" * size}


def test_where_nothing_listens_there_is_no_answer_and_no_exception() -> None:
    with control_plane() as url:
        pass
    assert send(url, "GET", "/v1/x", "t").status == NO_ANSWER


def test_an_answer_that_trickles_is_given_up_when_the_whole_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A byte every 50 ms: no single read ever waits for long."""
    monkeypatch.setattr("server.fleet.wire.WHOLE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle() -> None:
            with listening.accept()[0] as accepted:
                accepted.recv(65_536)
                with suppress(OSError):
                    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + b"x" * 9:
                        accepted.sendall(bytes([byte]))
                        time.sleep(0.05)

        thread = Thread(target=trickle)
        thread.start()
        answered = send(f"http://127.0.0.1:{listening.getsockname()[1]}", "GET", "/v1/x", "t")
        thread.join()
    assert answered.status == NO_ANSWER
    assert 0.25 < answered.seconds < 1.5


@pytest.mark.parametrize("size", [10 * 1024 * 1024, 10 * 1024 * 1024 + 1])
def test_a_compressed_answer_is_cut_at_10_mib_and_then_nothing_is_applied(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    body = Control.body + b" " * (size - len(Control.body))
    monkeypatch.setattr(Control, "body", body)
    with control_plane() as url:
        agent = Agent(url, "n-1", "d-1", "secret")
        fits = size <= 10 * 1024 * 1024
        assert agent.pull().status == (200 if fits else UNREADABLE)
    assert bool(agent.corrections) == fits


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(Control.body)[:-9]])
def test_a_compressed_answer_that_is_broken_is_no_answer_and_no_exception(
    monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr("tests.control_plane.gzip.compress", lambda raw: body)
    with control_plane() as url:
        assert Agent(url, "n-1", "d-1", "secret").pull().status == UNREADABLE


def test_a_report_is_compressed_and_differs_every_time() -> None:
    with control_plane() as url:
        agent = Agent(url, "n-1", "d-1", "secret")
        assert [agent.report().status, agent.report().status] == [200, 200]
    values = []
    for method, path, headers, body in Control.seen:
        assert (method, path) == ("PUT", "/v1/nodes/n-1/state/reports/inventory")
        assert headers["Content-Encoding"] == "gzip"
        values.append(json.loads(gzip.decompress(body))["value"])
    assert len(set(values)) == 2
    assert 1_024 < len(values[0].encode()) <= 4_096


def token(issued: float, expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"iat": issued, "exp": expires}).encode())
    return f"e30.{claims.decode().rstrip('=')}.c2ln"


def test_a_token_is_renewed_before_it_expires_and_the_next_one_is_used() -> None:
    now = time.time()
    assert Agent("", "n", "d", token(now - 60, now + 60)).renews_in() == pytest.approx(30, abs=1)
    assert Agent("", "n", "d", "opaque").renews_in() > 1e9
    old, renewed = token(now - 90, now + 10), token(now, now + 100)
    with control_plane({"token": renewed}) as url:
        agents = [Agent(url, "n-1", "d-1", old)]
        simulation = Simulation(agents, Run(seconds=0.2, clients=4, jitter=0.0, herd=True, seed=1))
        simulation.run(lambda now: None, lambda: False)
    assert agents[0].credential == renewed
    posts = [
        (path, sent["Authorization"]) for method, path, sent, _ in Control.seen if method == "POST"
    ]
    assert posts == [
        ("/v1/nodes/n-1/token", f"Bearer {old}"),
        ("/v1/nodes/n-1/heartbeat", f"Bearer {renewed}"),
    ]
    assert {kind.name for kind in simulation.tally.kinds()} == {PULL, HEARTBEAT, TOKEN}
