"""A Node's verdict over sockets while time passes, and the evaluator as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from server.dev.commands import REPOSITORY
from server.dev.movable_clock import MovableClock
from server.dev.parts import Part
from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.heartbeats import beat, changed
from tests.ledger_sql import run_sql
from tests.role_commands import command
from tests.stacks import running_stack

COMMAND = [sys.executable, "-m", "server.cli", "evaluator"]
INTERVAL = 0.2
PATIENCE = 30.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    env = {"PLEXSPHERE_EVALUATOR_INTERVAL": str(INTERVAL)}
    with running_stack("evaluator", nodes=8, test_clock=True, evaluator=True, env=env) as running:
        yield running


@pytest.fixture
def clock(stack: Stack) -> MovableClock:
    assert stack.test_clock is not None
    return stack.test_clock


@pytest.fixture
def evaluator(stack: Stack) -> Part:
    """It has just swept: a pause that an earlier test made is behind it."""
    part = stack.parts["evaluator"]
    if part.process is None:
        part.start()
    since = run_sql(stack.dsn, "SELECT clock_timestamp()")
    swept = "SELECT swept_at FROM plexsphere.evaluator_watch"
    eventually(lambda: run_sql(stack.dsn, swept) > since, "a sweep")
    return part


@pytest.fixture
def by_hand(evaluator: Part) -> Iterator[None]:
    """Nobody sweeps but who is asked to."""
    evaluator.stop()
    yield
    evaluator.start()


def environment(stack: Stack, **changes: str) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PLEXSPHERE_")}
    return {**bare, **stack.env, **changes}


def sweep_once(stack: Stack, *options: str, **env: str) -> Result:
    return command(stack, "evaluator", "--once", *options, **env)


def speak(stack: Stack, clock: MovableClock) -> None:
    assert beat(stack, changed(client_now=clock.now().isoformat())).status == 200


def shown(stack: Stack) -> str:
    """The state, the same in the pull and in the read of it alone."""
    alone = ask(stack.url, f"/v1/nodes/{stack.node_id}/reachability", stack.headers).json
    pulled = ask(stack.url, pull_path(stack.node_id), stack.headers).json["reachability"]
    assert alone["state"] == pulled["state"]
    return str(pulled["state"])


def pulled(stack: Stack) -> str:
    """The state, while an evaluator may be moving it."""
    return str(
        ask(stack.url, pull_path(stack.node_id), stack.headers).json["reachability"]["state"]
    )


def eventually(condition: Callable[[], bool], what: str) -> None:
    given_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < given_up, f"waited for {what}"
        time.sleep(0.05)


def test_a_life_in_silence_and_back_by_hand(
    stack: Stack, clock: MovableClock, by_hand: None
) -> None:
    seen = []
    speak(stack, clock)
    for seconds in (0, 60, 30, 210):
        clock.forward(seconds)
        assert sweep_once(stack).exit_code == 0
        seen.append(shown(stack))
    speak(stack, clock)
    sweep_once(stack)
    assert [*seen, shown(stack)] == ["healthy", "healthy", "stale", "unreachable", "healthy"]


def test_a_life_in_silence_and_back_by_itself(
    stack: Stack, clock: MovableClock, evaluator: Part
) -> None:
    for seconds, expected in ((0, "healthy"), (90, "stale"), (210, "unreachable"), (0, "healthy")):
        if expected == "healthy":
            speak(stack, clock)
        clock.forward(seconds)
        eventually(lambda expected=expected: pulled(stack) == expected, expected)  # type: ignore[misc]


def test_once_says_in_one_line_what_it_did(
    stack: Stack, clock: MovableClock, by_hand: None
) -> None:
    speak(stack, clock)
    clock.forward(90)
    sweep_once(stack)
    speak(stack, clock)
    words, nothing = sweep_once(stack), sweep_once(stack)
    assert (words.stdout, words.stderr) == ("1 Node changed state: 1 stale -> healthy\n", "")
    assert nothing.stdout == "no Node changed state\n"
    clock.forward(90)
    found = json.loads(sweep_once(stack, "--json").stdout)
    (transition,) = [
        transition for transition in found["transitions"] if stack.node_id in transition["node_ids"]
    ]
    assert (transition["from"], transition["to"]) == ("healthy", "stale")
    assert found["nodes"] == sum(transition["nodes"] for transition in found["transitions"])
    assert json.loads(sweep_once(stack, "--json").stdout) == {"nodes": 0, "transitions": []}


@pytest.mark.parametrize(
    ("env", "code", "sentence"),
    [
        ({"PLEXSPHERE_DSN": ""}, 2, "PLEXSPHERE_DSN is not set"),
        ({"PLEXSPHERE_DSN": "nonsense"}, 2, "malformed"),
        ({"PLEXSPHERE_EVALUATOR_INTERVAL": "7"}, 2, "PLEXSPHERE_EVALUATOR_INTERVAL must be"),
        ({"PLEXSPHERE_TEST_CLOCK": "/no/such/file"}, 2, "PLEXSPHERE_TEST_CLOCK must be"),
        ({"PLEXSPHERE_DSN": "postgresql://127.0.0.1:1/x"}, 3, "Postgres cannot be used"),
    ],
)
def test_once_without_a_usable_ledger_says_so(
    stack: Stack, env: dict[str, str], code: int, sentence: str
) -> None:
    result = sweep_once(stack, **env)
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_it_needs_the_ledger_and_nothing_else_of_the_service(stack: Stack) -> None:
    gone = ("SPICEDB_ENDPOINT", "SPICEDB_TOKEN", "JWKS", "SIGNING_KEY")
    assert sweep_once(stack, **{f"PLEXSPHERE_{name}": "" for name in gone}).exit_code == 0


class Further:
    """An evaluator beside the stack's own, and what it has said so far."""

    def __init__(self, stack: Stack, log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                COMMAND,
                env=environment(stack),
                cwd=REPOSITORY,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def events(self) -> list[str]:
        return [str(line["event"]) for line in self.lines()]

    def lines(self) -> list[dict[str, Any]]:
        """Every line; one that is no JSON is a traceback, and fails here."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def says(self, event: str, times: int = 1) -> None:
        eventually(lambda: self.events.count(event) >= times, event)


@contextmanager
def further(stack: Stack, log: Path) -> Iterator[Further]:
    other = Further(stack, log)
    try:
        yield other
    finally:
        other.process.kill()
        other.process.wait()


def test_another_takes_over_when_the_elected_one_is_killed(
    stack: Stack, clock: MovableClock, evaluator: Part, tmp_path: Path
) -> None:
    with further(stack, tmp_path / "log") as other:
        other.says("evaluator_waits_for_another")
        evaluator.kill()
        other.says("evaluator_elected")
        speak(stack, clock)
        eventually(lambda: pulled(stack) == "healthy", "a sweep by the other one")
    assert other.events.count("evaluator_elected") == 1


def test_another_takes_over_when_the_elected_one_is_frozen(
    stack: Stack, evaluator: Part, tmp_path: Path
) -> None:
    with further(stack, tmp_path / "log") as other:
        other.says("evaluator_waits_for_another")
        evaluator.freeze()
        try:
            other.says("evaluator_elected")
        finally:
            evaluator.thaw()
        log = stack.places.evaluator / "evaluator.log"
        eventually(lambda: "evaluator_waits_for_another" in log.read_text(), "it to wait")
        assert other.process.poll() is None
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_is_no_failure(
    stack: Stack, tmp_path: Path, number: signal.Signals
) -> None:
    with further(stack, tmp_path / "log") as other:
        other.says("evaluator_started")
        other.process.send_signal(number)
        assert other.process.wait(PATIENCE) == 0
        assert other.lines()[-1]["signal"] == number.name


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_it_outlives_a_postgres_that_is_away_and_says_so_once(
    stack: Stack, clock: MovableClock, by_hand: None, tmp_path: Path, how: str
) -> None:
    with further(stack, tmp_path / "log") as other:
        other.says("evaluator_elected")
        if how == "stopped":
            stack.postgres.stop()
        else:
            stack.postgres.freeze()
        other.says("evaluator_cannot_sweep")
        if how == "stopped":
            stack.postgres.start()
        else:
            stack.postgres.thaw()
        other.says("evaluator_can_sweep_again")
        other.says("evaluator_elected", times=2)
        assert other.events.count("evaluator_cannot_sweep") == 1
        speak(stack, clock)
        eventually(lambda: pulled(stack) == "healthy", "a sweep")


def test_what_moved_is_one_structured_line_and_nothing_is_said_of_the_rest(
    stack: Stack, clock: MovableClock, by_hand: None, tmp_path: Path
) -> None:
    speak(stack, clock)
    with further(stack, tmp_path / "log") as other:
        other.says("evaluator_elected")
        clock.forward(90)
        speak(stack, clock)
        eventually(lambda: pulled(stack) == "healthy", "healthy")
        clock.forward(90)
        eventually(lambda: pulled(stack) == "stale", "stale")
        moved = [line for line in other.lines() if line["event"] == "reachability_moved"]
    transitions = [each for line in moved for each in line["transitions"]]
    mine = [(t["from"], t["to"]) for t in transitions if stack.node_id in t["node_ids"]]
    assert mine[-1] == ("healthy", "stale")
    assert all(line["nodes"] > 0 for line in moved)


def test_a_moved_clock_is_loud(stack: Stack, evaluator: Part) -> None:
    log = stack.places.evaluator / "evaluator.log"
    eventually(lambda: "test_clock_moves_time" in log.read_text(), "the warning")


def test_no_state_moves_without_an_evaluator(
    stack: Stack, clock: MovableClock, by_hand: None
) -> None:
    sql = "SELECT id::text, reachability_state, changed_at FROM plexsphere.nodes ORDER BY id"
    speak(stack, clock)
    before = run_sql(stack.dsn, sql)
    clock.forward(600)
    speak(stack, clock)
    assert run_sql(stack.dsn, sql) == before
    assert re.fullmatch("healthy|stale|unreachable|", shown(stack))


def test_a_heartbeat_is_accepted_at_the_moved_moment(stack: Stack, clock: MovableClock) -> None:
    first = beat(stack, changed(client_now=clock.now().isoformat()))
    clock.forward(300)
    second = beat(stack, changed(client_now=clock.now().isoformat()))
    assert (first.status, second.status) == (200, 200)
    passed = datetime.fromisoformat(second.json["accepted_at"]) - datetime.fromisoformat(
        first.json["accepted_at"]
    )
    assert passed >= timedelta(seconds=300)


def test_an_agent_that_time_has_left_behind_is_told_so(stack: Stack, clock: MovableClock) -> None:
    left_behind = clock.now()
    clock.forward(120)
    reply = beat(stack, changed(client_now=left_behind.isoformat()))
    assert (reply.status, reply.code) == (400, "clock_skew")


def test_a_service_whose_time_is_moved_says_so_at_boot(stack: Stack) -> None:
    lines = (stack.places.gunicorn / "gunicorn.log").read_text().splitlines()
    (warning,) = [json.loads(line) for line in lines if '"test_clock_moves_time"' in line]
    assert (warning["level"], warning["path"]) == ("warning", str(stack.places.test_clock))
