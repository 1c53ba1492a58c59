"""``plexsphere-state evaluator``: sweeps until it is stopped, or once."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.contact import first_contact
from server.cli.formats import counted
from server.cli.options import AsJson, Dsn, usable_dsn
from server.cli.screen import write_json

if TYPE_CHECKING:
    from composer.reachability import Sweep, Transition
    from db.reachability import PostgresSweeps
    from server.settings import Settings

EXAMPLE = "plexsphere-state evaluator\n\nplexsphere-state evaluator --once --json"
ONCE_SECONDS = 10.0


def evaluator(
    once: Annotated[bool, typer.Option("--once", help="Sweep once and end.")] = False,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Set every Node's reachability from the age of its last heartbeat, until SIGTERM or Ctrl-C.

    Healthy, stale after 90 s, unreachable after 300 s, or what the Node's Domain sets instead.
    Several may run: one is elected and sweeps, the others take over when it ends. It logs to
    stdout.

    After a pause in which no evaluator swept, a Node gets worse only by silence after the pause.
    --once knows such a pause only while an evaluator runs too: do not run it from a timer, or right
    after an outage.
    """
    from db.reachability import PostgresSweeps
    from server.settings import read_settings
    from server.test_clock import test_clock_offset

    settings = replace(read_settings(ledger_only=True), dsn=usable_dsn(dsn))
    time_offset = test_clock_offset(settings.test_clock)
    sweeps = PostgresSweeps(settings.dsn, settings.evaluator_interval, time_offset)
    try:
        if once:
            first_contact(settings.dsn)
            _sweep_once(sweeps, as_json)
        else:
            _sweep_until_stopped(sweeps, settings)
    finally:
        sweeps.close()


def _sweep_until_stopped(sweeps: PostgresSweeps, settings: Settings) -> None:
    import structlog

    from server.telemetry.logs import configure
    from server.workers.evaluator import evaluator_loop
    from server.workers.loop import run_until_stopped

    configure(
        settings.log_format,
        settings.log_level,
        queue=settings.log_queue,
        repeats=settings.log_repeats,
    )
    interval = settings.evaluator_interval
    if settings.test_clock:
        log = structlog.stdlib.get_logger("plexsphere")
        log.warning("test_clock_moves_time", path=settings.test_clock)
    run_until_stopped(evaluator_loop(sweeps, interval), "evaluator", interval=interval)


def _sweep_once(sweeps: PostgresSweeps, as_json: bool) -> None:
    from composer.deadline import Deadline
    from server.workers.evaluator import transition_fields

    sweep = sweeps.sweep_once(Deadline.after(ONCE_SECONDS, time.monotonic))
    if as_json:
        transitions = [transition_fields(transition) for transition in sweep.transitions]
        write_json({"nodes": sweep.nodes, "transitions": transitions}, indent=None)
    else:
        typer.echo(_sentence(sweep))


def _sentence(sweep: Sweep) -> str:
    if not sweep.transitions:
        return "no Node changed state"
    transitions = ", ".join(map(_transition, sweep.transitions))
    return f"{counted(sweep.nodes, 'Node')} changed state: {transitions}"


def _transition(transition: Transition) -> str:
    before, after = (
        state or "not yet evaluated" for state in (transition.old_state, transition.new_state)
    )
    return f"{transition.nodes} {before} -> {after}"
