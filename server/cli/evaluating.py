"""``plexsphere-state evaluator``: sweeps until it is told to stop, or once."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import AsJson, Dsn, usable_dsn
from server.cli.screens import write_json

if TYPE_CHECKING:
    from composer.reachability import Sweep, Transition
    from db.sweeps import PostgresSweeps
    from server.settings import Settings

ONCE_SECONDS = 10.0


def evaluator(
    once: Annotated[bool, typer.Option("--once", help="Sweep once, say what it did, end.")] = False,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Move every Node's reachability to what its silence says, until SIGTERM or Ctrl-C.

    Healthy, stale after 90 s, unreachable after 300 s, or what the Node's Domain says instead.
    Several may run: one sweeps, the others take over when it is gone. It logs to stdout.

    After a pause in which nobody swept, silence is counted anew before a Node gets worse. --once
    minds only the pause of an evaluator that runs: not for a timer, and not right after an outage.
    """
    from db.sweeps import PostgresSweeps
    from server.moved_time import moved_time
    from server.settings import read_settings

    settings = replace(read_settings(ledger_only=True), dsn=usable_dsn(dsn))
    ahead = moved_time(settings.test_clock)
    sweeps = PostgresSweeps(settings.dsn, settings.evaluator_interval, ahead)
    if once:
        _once(sweeps, as_json)
    else:
        _until_stopped(sweeps, settings)


def _once(sweeps: PostgresSweeps, as_json: bool) -> None:
    from composer.deadline import Deadline
    from server.workers.evaluator import transition_fields

    sweep = sweeps.sweep_once(Deadline.after(ONCE_SECONDS, time.monotonic))
    sweeps.close()
    if as_json:
        moved = [transition_fields(transition) for transition in sweep.transitions]
        write_json({"nodes": sweep.nodes, "transitions": moved}, indent=None)
    else:
        typer.echo(_in_words(sweep))


def _in_words(sweep: Sweep) -> str:
    if not sweep.transitions:
        return "no Node changed state"
    said = ", ".join(map(_transition_in_words, sweep.transitions))
    return f"{sweep.nodes} Node{'s' if sweep.nodes > 1 else ''} changed state: {said}"


def _transition_in_words(one: Transition) -> str:
    return f"{one.nodes} {one.was or 'not yet evaluated'} -> {one.state or 'not yet evaluated'}"


def _until_stopped(sweeps: PostgresSweeps, settings: Settings) -> None:
    import structlog

    from server.telemetry.logs import configure
    from server.workers.evaluator import evaluator_loop
    from server.workers.loop import run_until_stopped

    configure(settings.log_format, settings.log_level)
    interval = settings.evaluator_interval
    if settings.test_clock:
        log = structlog.stdlib.get_logger("plexsphere")
        log.warning("test_clock_moves_time", path=settings.test_clock)
    try:
        run_until_stopped(evaluator_loop(sweeps, interval), "evaluator", interval=interval)
    finally:
        sweeps.close()
