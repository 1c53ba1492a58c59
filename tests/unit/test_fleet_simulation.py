"""The parts of a simulated fleet: its picture, its ticks, its tally, its wire."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random
from threading import Thread
from typing import Any

import pytest

from server.fleet.agents import Agent
from server.fleet.picture import Picture
from server.fleet.schedule import HEARTBEAT_SECONDS, Schedule
from server.fleet.simulation import Run, Simulation
from server.fleet.tally import HEARTBEAT, PULL, Tally, quantiles
from server.fleet.wire import NO_ANSWER, send
from tests.golden.pull import kept

BODIES = {name: json.loads(body) for name, body in kept().items()}


def without_reachability(body: dict[str, Any]) -> dict[str, Any]:
    return {name: block for name, block in body.items() if name != "reachability"}


@pytest.mark.parametrize("name", BODIES)
def test_a_picture_is_the_snapshot_it_applied(name: str) -> None:
    picture = Picture()
    picture.apply(BODIES[name])
    assert picture.desired_state == without_reachability(BODIES[name])


def test_a_picture_follows_from_any_snapshot_to_any_other() -> None:
    picture = Picture()
    for body in [*BODIES.values(), *reversed(BODIES.values())]:
        picture.apply(body)
        assert picture.desired_state == without_reachability(body)


def test_the_same_snapshot_twice_corrects_nothing() -> None:
    picture, body = Picture(), BODIES["everything/full.body.json"]
    assert picture.apply(body) > 5
    assert picture.apply(body) == 0


def test_a_herd_starts_in_one_instant_and_others_within_their_interval() -> None:
    herd, spread = Schedule(Random(1), herd=True), Schedule(Random(1))
    for agent in range(100):
        herd.start(agent, HEARTBEAT, HEARTBEAT_SECONDS)
        spread.start(agent, HEARTBEAT, HEARTBEAT_SECONDS)
    assert len([due for _ in range(100) if (due := herd.pop(0.0))]) == 100
    starts = [due.at for _ in range(100) if (due := spread.pop(HEARTBEAT_SECONDS))]
    assert len(starts) == 100
    assert starts == sorted(starts)
    assert starts[-1] - starts[0] > HEARTBEAT_SECONDS / 2


def test_ticks_keep_their_interval_and_those_that_passed_are_dropped() -> None:
    schedule = Schedule(Random(1), herd=True)
    schedule.start(0, PULL, 60.0)
    first = schedule.pop(0.0)
    assert first is not None
    schedule.again(first, 60.0, now=1.0)
    assert schedule.pop(59.9) is None
    second = schedule.pop(60.0)
    assert second is not None
    schedule.again(second, 60.0, now=500.0)
    assert schedule.next_at == 500.0


def test_jitter_moves_a_tick_by_its_share_at_most() -> None:
    schedule = Schedule(Random(1), jitter=0.1, herd=True)
    schedule.start(0, PULL, 60.0)
    due = schedule.pop(0.0)
    moments = []
    for _ in range(50):
        assert due is not None
        schedule.again(due, 60.0, now=due.at)
        after = schedule.pop(1e9)
        assert after is not None
        moments.append(after.at - due.at)
        due = after
    assert 54.0 <= min(moments) < 57.0
    assert 63.0 < max(moments) <= 66.0


def test_quantiles_are_by_rank() -> None:
    assert quantiles([]) == (0.0,) * 5
    assert quantiles(range(1, 1001), (0.5, 0.99, 1.0)) == (501, 991, 1000)


class Control(BaseHTTPRequestHandler):
    """A control plane of one snapshot, which keeps what it was sent."""

    body = json.dumps(BODIES["everything/full.body.json"]).encode()
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def do_GET(self) -> None:
        self._answer(200, gzip.compress(self.body), {"ETag": 'W/"x"', "Content-Encoding": "gzip"})

    def do_POST(self) -> None:
        self._answer(200, b"{}", {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        type(self).seen.append((self.command, self.path, dict(self.headers), sent))
        held = self.headers.get("If-None-Match") == 'W/"x"'
        self.send_response(304 if held else status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0" if held else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if held else body)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""


@contextmanager
def control_plane() -> Iterator[str]:
    Control.seen = []
    with HTTPServer(("127.0.0.1", 0), Control) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_agent_pulls_and_beats_as_plexd_does() -> None:
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


def test_a_run_ticks_every_agent_and_tells_who_got_no_last_answer() -> None:
    with control_plane() as url:
        agents = [Agent(url, f"n-{number}", "d-1", "t") for number in range(5)]
        simulation = Simulation(agents, Run(seconds=0.3, clients=4, jitter=0.0, herd=True, seed=1))
        simulation.run(lambda now: None, lambda: False)
        assert {line.kind: line.count for line in simulation.tally.lines()} == {
            PULL: 5,
            HEARTBEAT: 5,
        }
        assert simulation.tally.failed == 0
        assert simulation.settle() == []
    assert simulation.settle() == [0, 1, 2, 3, 4]


def test_an_empty_tally_can_be_summed_up() -> None:
    tally = Tally()
    assert (tally.lines(), tally.failed, len(tally)) == ([], 0, 0)
