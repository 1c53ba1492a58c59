"""A fault in the middle of a run is one of its complaints, and everything else is told as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from server.dev.process import StackError
from tests.fuzz import campaign as tried
from tests.fuzz.campaign import Run, campaign, send_all
from tests.fuzz.directed_writes import Directed
from tests.fuzz.judge import Judge
from tests.fuzz.report import status_table
from tests.fuzz.world import World

WORLD = World({"node": "token"}, {"node": ""}, "stranger")
NEVER_SEEN = "GetLivez 200: declared and never seen"


class NoStack:
    """Starts nothing, and nobody answers."""

    url, dsn = "http://127.0.0.1:1", ""

    def __init__(self, *args: object, **options: object) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass


def silent(*arguments: object) -> list[str]:
    return []


def breaking(*arguments: object, **options: object) -> Any:
    raise OSError("the disk is full")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts stand-ins into the campaign; what is not given does nothing."""

    def put(**values: object) -> None:
        still = ("made_anew_next_time", "schemathesis", "missing_audit", "send_all")
        ours = dict.fromkeys(still, silent)
        ours |= {"Stack": NoStack, "world_of": lambda stack: WORLD, "probe": lambda stack: None}
        for name, part in {**ours, **values}.items():
            monkeypatch.setattr(tried, name, part)

    return put


@pytest.mark.parametrize("broken", ["schemathesis", "missing_audit", "send_all"])
def test_a_part_of_the_run_that_breaks_is_a_complaint_beside_the_others(
    parts: Callable[..., None], tmp_path: Path, broken: str
) -> None:
    parts(**{broken: breaking})
    outcome = campaign(Run(tmp_path, 1, 1))
    assert any("OSError: the disk is full" in complaint for complaint in outcome.complaints)
    assert NEVER_SEEN in [complaint.partition("\n")[0] for complaint in outcome.complaints]
    Console(quiet=True).print(status_table(outcome))


def test_a_run_that_is_cut_short_has_no_complaint_about_what_it_did_not_ask(
    parts: Callable[..., None], tmp_path: Path
) -> None:
    parts(schemathesis=lambda run, url: ["Server: Server Unavailable: it does not answer"])
    complaints = campaign(Run(tmp_path, 1, 1)).complaints
    assert any("Server Unavailable" in complaint for complaint in complaints)
    assert NEVER_SEEN not in [complaint.partition("\n")[0] for complaint in complaints]


def test_every_run_meets_a_ledger_made_anew(
    parts: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(NoStack, "start", lambda stack: steps.append("started"))
    parts(made_anew_next_time=lambda stack: steps.append("anew"))
    campaign(Run(tmp_path, 1, 1))
    assert steps == ["anew", "started"]


def test_counts_that_were_never_written_are_a_complaint(
    parts: Callable[..., None], tmp_path: Path
) -> None:
    parts()
    complaints = campaign(Run(tmp_path, 1, 1)).complaints
    assert any("its counts: FileNotFound" in complaint for complaint in complaints)


def test_a_stack_that_does_not_end_is_a_complaint(
    parts: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts()
    monkeypatch.setattr(NoStack, "stop", breaking)
    assert any(
        "end of the stack" in complaint for complaint in campaign(Run(tmp_path, 1, 1)).complaints
    )


def test_a_service_that_does_not_start_and_a_case_without_an_answer_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def unstartable(stack: object, node_id: str) -> Iterator[str]:
        raise StackError("no port is free")
        yield

    @contextmanager
    def deserted(stack: object, node_id: str) -> Iterator[str]:
        yield NoStack.url

    every = [Directed("GetLivez", kind, 200, "/livez") for kind in "abbbbbb"]
    monkeypatch.setattr("tests.fuzz.directed.directed", lambda world: every)
    monkeypatch.setattr(tried, "SERVICES", {"a": unstartable, "b": deserted})
    found = list(send_all(NoStack(), Judge(WORLD)))  # type: ignore[arg-type]
    assert found[0] == "the service a: StackError: no port is free"
    assert found[-1].startswith("the service b: TimeoutError: 5 cases in a row without an answer")
    assert len(found) == 7
    assert all(
        complaint.startswith("GetLivez: GET b: ConnectionRefusedError") for complaint in found[1:-1]
    )
