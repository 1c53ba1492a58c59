"""Each alert of deploy/prometheus/rules.yml, fired by a fault of a real service.

    python -m tests.bench.alerts

A real Prometheus scrapes the service once a second and evaluates the rules, whose times are a
sixtieth: minutes are seconds. For each alert a fault is made, and the seconds until the alert fires
are printed; then the fault ends. `make alerts` runs it; it takes some minutes.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import requests

from composer.deadline import Deadline
from composer.identity import node_object
from deploy.lint_deploy.lint import debian
from docs.pictures.running import scraped
from server.authz.channel import SpiceDbChannel
from server.authz.tuples import RelationTuple, TupleWriter
from server.dev.parts import worker_command
from server.dev.process import Process
from server.dev.stack import Stack
from server.settings import read_settings
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import run_sql
from tests.outboxes import own_tuple, touch, write_raw, write_row
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
PATIENCE = 90.0  # seconds
CALLERS = 4
# In these worlds nothing of the service itself fails, so no fault of a part fires them.
NOT_FIRED = {
    "ClockIsOff": "both clocks are of one machine",
    "ContractIsBroken": "the service has no such defect",
    "EventsAreBehind": "one process takes events faster than one machine makes them",
    "Overloaded": "no load that two cores make is too much for the bounds",
    "AuditRowsLost": "the queue holds what this machine can ask during the outage",
}


@dataclass(frozen=True)
class Fault:
    """``makes`` begins it and returns what ends it; ``fires`` are the alerts."""

    text: str
    fires: tuple[str, ...]
    makes: Callable[[Stack], Callable[[], None]]


def main() -> int:
    """Make each fault in turn; exit code 1 where an alert does not fire."""
    prometheus = debian("prometheus", "usr/bin/prometheus")
    silent = []
    options = {"nodes": 8, "nats": True, "env": {"PLEXSPHERE_COMPARE_INTERVAL": "5"}}
    folder = ROOT / ".dev" / "alerts"
    shutil.rmtree(folder, ignore_errors=True)  # an earlier run left rows that wait
    with Stack(folder, **options) as stack:
        rules = stack.places.folder / "rules.yml"
        rules.write_text(in_seconds(RULES.read_text()))
        with scraped(stack, prometheus, rules) as url:
            for fault in FAULTS:
                if fault.makes is not nothing_yet:
                    await_silence(url, fault.fires)
                began = time.monotonic()
                ends = fault.makes(stack)
                for alert, seconds in fired(url, fault.fires, began):
                    print(f"{alert:<22}{seconds:>6.1f} s  {fault.text}", flush=True)
                    silent += [alert] if seconds == float("inf") else []
                ends()
    for alert, reason in NOT_FIRED.items():
        print(f"{alert:<22}     -    {reason}")
    return 1 if silent else 0


def in_seconds(rules: str) -> str:
    """The rules with times of a sixtieth, but ranges of ten seconds at least."""
    rules = re.sub(r"\bfor: (\d+)m", r"for: \1s", rules)
    rules = re.sub(r"\[\d+m\]", "[10s]", rules)
    return re.sub(r"offset \w+", "offset 20s", rules)


def fired(url: str, alerts: tuple[str, ...], began: float) -> Iterator[tuple[str, float]]:
    """Each alert once it fires, with the seconds since the fault; infinity where it does not."""
    waiting = set(alerts)
    while waiting and time.monotonic() - began < PATIENCE:
        found = firing(url)
        for alert in sorted(waiting & found):
            yield alert, time.monotonic() - began
        waiting -= found
        time.sleep(0.2)
    for alert in sorted(waiting):
        yield alert, float("inf")


def firing(url: str) -> set[str]:
    """The alerts that fire now."""
    found = requests.get(f"{url}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}


def await_silence(url: str, alerts: tuple[str, ...]) -> None:
    """Return once none of them fires: an earlier fault may have fired it too."""
    until(lambda: not firing(url) & set(alerts), "silence", 2 * PATIENCE)


@contextmanager
def calling(stack: Stack, token: str) -> Iterator[None]:
    """Callers that pull the addressed Node, one request after the other."""
    stopped = threading.Event()

    def call() -> None:
        while not stopped.wait(0.05):
            with suppress(OSError):
                ask(stack.url, pull_path(stack.node_id), bearer(token))

    threads = [threading.Thread(target=call) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    yield
    stopped.set()
    for thread in threads:
        thread.join()


def called(token: Callable[[Stack], str]) -> Callable[[Stack], Callable[[], None]]:
    """A fault of callers with this token."""

    def make(stack: Stack) -> Callable[[], None]:
        callers = calling(stack, token(stack))
        callers.__enter__()
        return lambda: callers.__exit__(None, None, None)  # type: ignore[func-returns-value]

    return make


def nothing_yet(stack: Stack) -> Callable[[], None]:
    """The stack as it starts: without a relay and an evaluator."""
    return lambda: None


def during(
    begin: Callable[[Stack], object], end: Callable[[Stack], object]
) -> Callable[[Stack], Callable[[], None]]:
    """A fault of a part while agents pull."""

    def make(stack: Stack) -> Callable[[], None]:
        ask(stack.url, pull_path(stack.node_id), stack.headers)  # the answer that is kept
        begin(stack)
        callers = calling(stack, stack.token())
        callers.__enter__()

        def ends() -> None:
            end(stack)
            callers.__exit__(None, None, None)

        return ends

    return make


def corrupt_node(stack: Stack) -> Callable[[], None]:
    """The addressed Node's row breaks every pull."""
    update = "UPDATE plexsphere.nodes SET reachability_state = %s WHERE id = %s"
    (before,) = run_sql(
        stack.dsn, "SELECT reachability_state FROM plexsphere.nodes WHERE id = %s", (stack.node_id,)
    )[0]
    run_sql(stack.dsn, update, ("broken", stack.node_id))
    callers = calling(stack, stack.token())
    callers.__enter__()

    def ends() -> None:
        callers.__exit__(None, None, None)
        run_sql(stack.dsn, update, (before, stack.node_id))

    return ends


def locked_nodes(stack: Stack) -> Callable[[], None]:
    """A lock that reads wait for."""
    locking = psycopg2.connect(stack.dsn)
    with locking.cursor() as cursor:
        cursor.execute("LOCK TABLE plexsphere.nodes IN ACCESS EXCLUSIVE MODE")
    callers = calling(stack, stack.token())
    callers.__enter__()

    def ends() -> None:
        locking.close()
        callers.__exit__(None, None, None)

    return ends


def late_rows(stack: Stack) -> Callable[[], None]:
    """A row of the outbox and an event that no relay takes."""
    node = stack.sample.node_id(2)
    write_row(stack.dsn, node_object(node), *touch(own_tuple(node)))
    update = "UPDATE plexsphere.nodes SET mesh_ip = '10.42.9.9' WHERE id = %s"
    run_sql(stack.dsn, update, (str(node),))
    return lambda: None


def invalid_row(stack: Stack) -> Callable[[], None]:
    """A row that SpiceDB calls invalid, a relationship too much, and a relay that finds both."""
    settings = read_settings(stack.env)
    channel = SpiceDbChannel(settings.spicedb, timeout=5)
    surplus = RelationTuple(node_object(stack.sample.node_id(1)), "agent", "user:mallory")
    TupleWriter(channel).touch([surplus], Deadline.after(5, time.monotonic))
    channel.close()
    update = {"operation": "touch", "resource": "node:!", "relation": "agent", "subject": "user:x"}
    write_raw(stack.dsn, "node:!", [update])
    stack.places.relay.mkdir(exist_ok=True)
    relay = Process(worker_command(stack.places, "relay", stack.env, True))
    return relay.kill


def stopped_instance(stack: Stack) -> Callable[[], None]:
    """Nothing answers /metrics."""
    stack.gunicorn.stop()
    return stack.gunicorn.start


FAULTS = (
    Fault("no relay and no evaluator has run", ("NoEvaluator", "NoComparison"), nothing_yet),
    Fault("no relay takes a row and an event", ("RelayIsBehind", "EventsAreLate"), late_rows),
    Fault("a peer row without an address", ("PeersAreLeftOut",), called(lambda s: s.token())),
    Fault("a caller without a role", ("CallersAreForbidden",), called(lambda s: s.token("user:x"))),
    Fault("a caller with a bad token", ("TokensAreRefused",), called(lambda s: "bad")),
    Fault("a row breaks every pull of a Node", ("RequestsAreDefects",), corrupt_node),
    Fault(
        "SpiceDB hangs",
        ("RequestsFail",),
        during(lambda s: s.spicedb.freeze(), lambda s: s.spicedb.thaw()),
    ),
    Fault("a session locks the Nodes", ("PullsAreSlow",), locked_nodes),
    Fault(
        "Postgres is stopped",
        ("OldAnswers", "LedgerGaugesAbsent"),
        during(lambda s: s.postgres.stop(), lambda s: s.postgres.start()),
    ),
    Fault(
        "SpiceDB refuses a row, and has a relationship too much",
        ("OutboxRowsParked", "SpiceDBDiffered"),
        invalid_row,
    ),
    Fault("an instance is stopped", ("InstanceDown",), stopped_instance),
)

if __name__ == "__main__":
    sys.exit(main())
