"""Each alert of deploy/prometheus/rules.yml, fired by a fault of a real service.

    python -m tests.bench.alerts

A real Prometheus scrapes the service once a second and evaluates the rules, whose times are a
sixtieth: minutes are seconds. For each alert a fault is made, and the seconds until the alert fires
are printed; then the fault ends. `make alerts` runs it, in about three minutes, and writes
docs/alerts.md where each alert of the rules has fired.
"""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import requests
import yaml
from nats.aio.client import Client

from composer.deadline import Deadline
from composer.identity import node_object
from deploy.lint_deploy.lint import Unable, debian
from docs.pictures.running import scraped
from server.authz.channel import SpiceDbChannel
from server.authz.tuples import RelationTuple, TupleWriter
from server.dev.commands import worker_command
from server.dev.ports import HOST
from server.dev.process import Process
from server.dev.stack import Stack
from server.events.nats import DOMAIN_HEADER, STREAM, NatsConnection
from server.settings import read_settings
from tests.client import ask, bearer, pull_path
from tests.faults.proxy import FaultyProxy
from tests.ledger_sql import run_sql
from tests.outboxes import own_tuple, touch, write_raw, write_row
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
PAGE = ROOT / "docs" / "alerts.md"
HEAD = """\
# Alerts

Made by `make alerts`: a fault of a real service for each alert of
[`rules.yml`](../deploy/prometheus/rules.yml), under a real Prometheus. There the times of the rules
are a sixtieth, so `for: 5m` waits for 5 seconds, ranges are 10 seconds, and the service is scraped
once a second. *fired after* counts from the beginning of the fault.

| alert | for | fault | fired after |
|---|---|---|---|
"""
INFINITY = float("inf")
PATIENCE = 90.0  # seconds
CALLERS = 4
CROWD = 300
BACKLOG = 9_000  # events
# Small bounds, so that a fault of seconds reaches them.
BOUNDS = {
    "PLEXSPHERE_ANSWER_DEADLINE": "1.5",
    "PLEXSPHERE_AUDIT_QUEUE": "200",
    "PLEXSPHERE_COMPARE_INTERVAL": "5",
}
# What only the service has in its environment: a clock of its own, that a file puts off.
CLOCK = ROOT / ".dev" / "alerts" / "clock"
SERVICE = {
    "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'faults' / 'clock'}",
    "FAULTS_CLOCK": str(CLOCK),
}


@dataclass(frozen=True)
class Fault:
    """``makes`` begins it and returns what ends it; ``fires`` are the alerts."""

    text: str
    fires: tuple[str, ...]
    makes: Callable[[Stack], Callable[[], None]]


def main() -> int:
    """Make each fault in turn; exit code 1 where an alert of the rules does not fire."""
    try:
        prometheus = debian("prometheus", "usr/bin/prometheus")
    except Unable as reason:
        print(f"plexsphere-state: {reason}", file=sys.stderr)
        return 2
    found: dict[str, tuple[float, str]] = {}
    folder = ROOT / ".dev" / "alerts"
    shutil.rmtree(folder, ignore_errors=True)  # an earlier run left rows that wait
    with Stack(folder, nodes=8, nats=True, env=BOUNDS, tree=lambda: SERVICE) as stack:
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
                    found[alert] = seconds, fault.text
                ends()
    silent = [alert for alert in waits() if found.get(alert, (INFINITY, ""))[0] == INFINITY]
    if silent:
        print(f"never fired: {', '.join(silent)}", file=sys.stderr)
        return 1
    PAGE.write_text(page(found))
    return 0


def waits() -> dict[str, str]:
    """Alert of the rules -> its ``for``."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule["for"] for rule in group["rules"]}


def page(found: Mapping[str, tuple[float, str]]) -> str:
    """docs/alerts.md, in the order of the rules."""
    rows = [
        f"| {alert} | {wait} | {found[alert][1]} | {found[alert][0]:.1f} s |"
        for alert, wait in waits().items()
    ]
    return HEAD + "\n".join(rows) + "\n"


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
        yield alert, INFINITY


def firing(url: str) -> set[str]:
    """The alerts that fire now."""
    found = requests.get(f"{url}/api/v1/alerts", timeout=10).json()["data"]["alerts"]
    return {alert["labels"]["alertname"] for alert in found if alert["state"] == "firing"}


def await_silence(url: str, alerts: tuple[str, ...]) -> None:
    """Return once none of them fires: an earlier fault may have fired it too."""
    until(lambda: not firing(url) & set(alerts), "silence", 2 * PATIENCE)


@contextmanager
def calling(stack: Stack, token: str, callers: int = CALLERS) -> Iterator[None]:
    """Callers that pull the addressed Node, one request after the other."""
    stopped = threading.Event()

    def call() -> None:
        while not stopped.wait(0.05):
            with suppress(OSError):
                ask(stack.url, pull_path(stack.node_id), bearer(token))

    threads = [threading.Thread(target=call) for _ in range(callers)]
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
    begin: Callable[[Stack], object], end: Callable[[Stack], object], callers: int = CALLERS
) -> Callable[[Stack], Callable[[], None]]:
    """A fault of a part while agents pull."""

    def make(stack: Stack) -> Callable[[], None]:
        ask(stack.url, pull_path(stack.node_id), stack.headers)  # the answer that is kept
        begin(stack)
        pulling = calling(stack, stack.token(), callers)
        pulling.__enter__()

        def ends() -> None:
            end(stack)
            pulling.__exit__(None, None, None)

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


def locked(table: str, callers: int = CALLERS) -> Callable[[Stack], Callable[[], None]]:
    """A session that locks a table while agents pull."""

    def make(stack: Stack) -> Callable[[], None]:
        locking = psycopg2.connect(stack.dsn)
        lock = f"LOCK TABLE plexsphere.{table} IN ACCESS EXCLUSIVE MODE"
        begin = during(lambda s: locking.cursor().execute(lock), lambda s: locking.close(), callers)
        return begin(stack)

    return make


def wrong_entry(stack: Stack) -> Callable[[], None]:
    """A check of the ledger that is gone, and a key that the contract does not allow."""
    table = "ALTER TABLE plexsphere.node_state_entries"
    run_sql(stack.dsn, f"{table} DROP CONSTRAINT node_state_entries_key_check")
    entry = "INSERT INTO plexsphere.node_state_entries (node_id, kind, key, value) VALUES"
    run_sql(stack.dsn, f"{entry} (%s, 'data', repeat('k', 129), '')", (stack.node_id,))
    without = "DELETE FROM plexsphere.node_state_entries WHERE length(key) = 129"
    return during(lambda s: None, lambda s: run_sql(s.dsn, without))(stack)


def late_clock(stack: Stack) -> Callable[[], None]:
    """The clock of the service goes an hour late."""
    CLOCK.write_text("-3600")
    return CLOCK.unlink


def slow_nats(stack: Stack) -> Callable[[], None]:
    """An instance starts behind a slow network to NATS, where many events wait."""
    move_node(stack, "10.42.9.8")
    relay = relay_of(stack)
    waiting = "SELECT count(*) FROM plexsphere.events WHERE published_at IS NULL"
    until(lambda: run_sql(stack.dsn, waiting) == [(0,)], "every event published", PATIENCE)
    relay.kill()
    settings = read_settings(stack.env)
    with closing(NatsConnection(settings.nats, "alerts", on_trouble=print)) as nats:
        nats.call(copy_newest_event, PATIENCE)
    proxy = FaultyProxy(stack.parts["nats"].port)
    proxy.break_down("slow")
    stack.gunicorn.stop()
    SERVICE["PLEXSPHERE_NATS_URL"] = f"nats://{HOST}:{proxy.port}"
    stack.gunicorn.start()
    return proxy.mend


async def copy_newest_event(client: Client) -> None:
    """As many copies as the backlog has, as if a relay had published them."""
    stream = client.jetstream()
    newest = (await stream.stream_info(STREAM)).state.last_seq
    event = await stream.get_msg(STREAM, newest)
    assert event.subject and event.headers
    headers = {DOMAIN_HEADER: event.headers[DOMAIN_HEADER]}
    for _ in range(BACKLOG):
        await client.publish(event.subject, event.data or b"", headers=headers)
    await client.flush()


def late_rows(stack: Stack) -> Callable[[], None]:
    """A row of the outbox and an event that no relay takes."""
    node = stack.sample.node_id(2)
    write_row(stack.dsn, node_object(node), *touch(own_tuple(node)))
    move_node(stack, "10.42.9.9")
    return lambda: None


def move_node(stack: Stack, address: str) -> None:
    """An event of a Domain."""
    update = "UPDATE plexsphere.nodes SET mesh_ip = %s WHERE id = %s"
    run_sql(stack.dsn, update, (address, str(stack.sample.node_id(2))))


def invalid_row(stack: Stack) -> Callable[[], None]:
    """A row that SpiceDB calls invalid, a relationship too much, and a relay that finds both."""
    settings = read_settings(stack.env)
    channel = SpiceDbChannel(settings.spicedb, timeout=5)
    surplus = RelationTuple(node_object(stack.sample.node_id(1)), "agent", "user:mallory")
    TupleWriter(channel).touch([surplus], Deadline.after(5, time.monotonic))
    channel.close()
    update = {"operation": "touch", "resource": "node:!", "relation": "agent", "subject": "user:x"}
    write_raw(stack.dsn, "node:!", [update])
    return relay_of(stack).kill


def relay_of(stack: Stack) -> Process:
    """A relay, started."""
    stack.places.relay.mkdir(exist_ok=True)
    return Process(worker_command(stack.places, "relay", stack.env, True))


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
    Fault("a session locks the Nodes", ("PullsAreSlow",), locked("nodes")),
    Fault(
        f"{CROWD} agents pull while a session locks the Nodes",
        ("Overloaded",),
        locked("nodes", CROWD),
    ),
    Fault("a session locks the audit", ("AuditRowsLost",), locked("audit_rows")),
    Fault("the clock of an instance is an hour late", ("ClockIsOff",), late_clock),
    Fault("an entry of the ledger breaks the contract", ("ContractIsBroken",), wrong_entry),
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
    Fault(
        f"a slow network to NATS, where {BACKLOG:,} events wait", ("EventsAreBehind",), slow_nats
    ),
    Fault("an instance is stopped", ("InstanceDown",), stopped_instance),
)

if __name__ == "__main__":
    sys.exit(main())
