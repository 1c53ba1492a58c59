"""One run: the stack, Schemathesis in its own process, the directed cases, the audit rows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

from server.dev.stack import Stack
from tests.client import Reply, ask, bearer, pull_path, send_raw
from tests.fuzz import directed as cases
from tests.fuzz.aftermath import lost_workers, missing_audit
from tests.fuzz.complaints import failures, of_exchange, own_again
from tests.fuzz.directed_links import Request, followed
from tests.fuzz.exchange import MOST_SILENT, Exchange
from tests.fuzz.judge import Judge
from tests.fuzz.outcome import Outcome
from tests.fuzz.records import record
from tests.fuzz.services import SERVICES
from tests.fuzz.tally import FUZZED, PHASES, STATEFUL, Tally
from tests.fuzz.world import world_of
from tests.stacks import made_anew_next_time

ROOT = Path(__file__).resolve().parents[2]
# What runs in `make test`; the seconds are for Schemathesis alone, on a machine with much to do.
# Coverage, half of a short run's cost, is for `make fuzz`.
SHORT_CASES, SHORT_SECONDS = 8, 120.0
SHORT_PHASES = ("examples", "fuzzing")
# How long a stopped part may take to be noticed: a probe's result stands for a second.
PATIENCE_S = 15.0
# A few callers send all cases; and no answer of before stands in for a Postgres that is away.
OFF = ("ENROLMENTS_PER_MINUTE", "REFUSALS_PER_MINUTE", "KEY_ROTATION_INTERVAL", "STALE_READ_TTL")
SETTINGS = {f"PLEXSPHERE_{name}": "0" for name in OFF}
# Of an earlier run in the same folder.
REPORTS = (
    "tally.json",
    "junit.xml",
    "requests.har",
    "directed.har",
    "schemathesis.txt",
    "tables.txt",
)
# Schemathesis' own words where it stops before it has asked everything.
STOPPED = "Server Unavailable"
CONFIGURATION = ROOT / "tests" / "fuzz" / "schemathesis.toml"


@dataclass(frozen=True, slots=True)
class Run:
    """The size of a run, its seed and its longest time; `folder` is below .dev/.

    `phases` are those of Schemathesis beside the one that follows links.
    """

    folder: Path
    cases: int
    seed: int
    max_seconds: float | None = None
    nodes: int = 32
    phases: Sequence[str] = PHASES


def campaign(run: Run, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Raises StackError where the parts do not start; any other fault is a complaint.

    Call from the main thread.
    """
    run.folder.mkdir(parents=True, exist_ok=True)
    for name in REPORTS:
        (run.folder / name).unlink(missing_ok=True)
    faults: list[str] = []
    # A run enrols as fast as it can.
    stack = Stack(run.folder / "stack", nodes=run.nodes, workers=2, nats=True, env=SETTINGS)
    made_anew_next_time(stack)  # a seed meets the same ledger, and no run grows the next one's
    stack.start()
    again = own_again(run.seed, stack.url)
    try:
        unusable = probe(stack)
        if unusable:
            return recorded(run, Outcome(Tally(), [again.of(unusable)], 0.0))
        world = world_of(stack)
        world.save(run.folder)
        judge = Judge(world)
        say(f"{stack.url}, {len(world.node_ids)} Nodes, seed {run.seed}")
        started = time.monotonic()
        with collecting("Schemathesis", faults):
            faults += schemathesis(run, stack.url)
        seconds = max(time.monotonic() - started, 0.001)
        with collecting("its counts", faults):
            judge.tally.merge(run.folder / "tally.json")
        fuzzed = sum(n for (_, _, source), n in judge.tally.seen.items() if source == FUZZED)
        say(f"{fuzzed} cases in {seconds:.0f} s; now the directed ones")
        with collecting("audit rows", faults):
            faults += missing_audit(stack.dsn, judge.tally)
        with collecting("directed cases", faults):
            faults += send_all(stack, judge)
        with collecting("audit rows", faults):
            faults += missing_audit(stack.dsn, judge.tally)
    finally:
        with collecting("the end of the stack", faults):
            stack.stop()
    # what was never asked says nothing about what was never seen
    is_cut = judge.is_cut or any(STOPPED in fault for fault in faults)
    counted = judge.tally.breaches() if is_cut else judge.tally.complaints(run.phases)
    complaints = list(map(again.of, dict.fromkeys([*faults, *counted])))
    return recorded(run, Outcome(judge.tally, complaints, fuzzed / seconds, judge.directed))


def recorded(run: Run, outcome: Outcome) -> Outcome:
    """The outcome, written to the folder of the run."""
    with collecting("the records", outcome.complaints):
        record(run.folder, outcome, run.seed)
    return outcome


def probe(stack: Stack) -> str | None:
    """The complaint about a service that gives the run nothing to work with; else None."""
    node_id = stack.sample.node_id(1)
    pull = bearer(stack.token(f"node:{node_id}"))
    for path, headers in (("/livez", {}), (pull_path(node_id), pull)):
        try:
            reply = ask(stack.url, path, headers)
        except Exception as error:
            nothing = Exchange.unanswered("GET", path, headers)
            return of_exchange(fault("no answer", error), nothing)
        if reply.status != HTTPStatus.OK:
            exchange = Exchange.of("GET", path, headers, reply)
            return of_exchange(f"{reply.status}, not 200: the run needs its answers", exchange)
    return None


@contextmanager
def collecting(what: str, faults: list[str]) -> Iterator[None]:
    """A fault of the run itself is one more complaint, so that the others are reported as well."""
    try:
        yield
    except Exception as error:
        faults.append(fault(what, error))


def fault(what: str, error: Exception) -> str:
    return f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def schemathesis(run: Run, url: str) -> list[str]:
    """Its command line over the file, and what it complains about. Raises TimeoutExpired."""
    options = {
        "--url": url,
        "--seed": str(run.seed),
        "--max-examples": str(run.cases),
        "--phases": ",".join((*run.phases, STATEFUL)),
        "--report": "junit,har",
        "--report-junit-path": str(run.folder / "junit.xml"),
        "--report-har-path": str(run.folder / "requests.har"),
        "--request-timeout": "20",
    }
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(shutil.copy(CONFIGURATION, run.folder))),
        *("run", str(ROOT / "api" / "plexsphere-v1.yaml"), "--no-color", "--continue-on-failure"),
        *(word for option in options.items() for word in option),
    ]
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        "FUZZ_FOLDER": str(run.folder),
        "PYTHONPATH": str(ROOT),
    }
    output_file = run.folder / "schemathesis.txt"
    with output_file.open("wb") as output:
        # its own bound on time would stretch a short run to it as well
        code = subprocess.run(
            command, env=env, cwd=run.folder, stdout=output, stderr=output, timeout=run.max_seconds
        ).returncode
    found = lost_workers(output_file.read_text())
    with collecting("its JUnit file", found):
        found += failures(run.folder / "junit.xml", own_again(run.seed, url))
    if code and not found:
        found.append(f"Schemathesis ended with {code}: {output_file}")
    return found


def send_all(stack: Stack, judge: Judge) -> Iterator[str]:
    """The directed cases, service by service; a complaint for each that is answered otherwise."""
    every = list(cases.directed(judge.world))
    for name in dict.fromkeys(case.service for case in every):
        try:
            with SERVICES[name](stack, judge.world.node_ids[0]) as url:
                ours = [case for case in every if case.service == name]
                yield from ask_all(url, ours, judge)
                if name == cases.LIVE:
                    yield from followed(judge.world, partial(exchanged, url, judge), judge.tally)
        except TimeoutError as error:  # so would the others be
            judge.is_cut = True
            yield fault(f"the service {name}", error)
            return
        except Exception as error:  # the other services are asked all the same
            yield fault(f"the service {name}", error)


def ask_all(url: str, every: Sequence[cases.Directed], judge: Judge) -> Iterator[str]:
    """The cases of one service, of which one that is silent is not asked for ever."""
    silent = 0
    for case in every:
        answered = len(judge.directed)
        yield from send(url, case, judge)
        silent = 0 if len(judge.directed) > answered else silent + 1
        if silent == MOST_SILENT:
            raise TimeoutError(f"{silent} cases in a row without an answer: the rest is not asked")


def send(url: str, case: cases.Directed, judge: Judge) -> Iterator[str]:
    """One directed case; asked again while a stopped part may not have been noticed."""
    until = time.monotonic() + PATIENCE_S
    named = f"{case.method} {case.service}"
    try:
        reply = reply_to(url, case)
        while (
            case.service in (cases.NO_POSTGRES, cases.NO_SPICEDB, cases.NO_NATS)
            and reply.status != case.status
            and time.monotonic() < until
        ):
            time.sleep(0.1)
            reply = reply_to(url, case)
        exchange = Exchange.of(case.method, case.path, case.headers, reply, case.body)
        judge.take(exchange)
    except Exception as error:
        nothing = Exchange.unanswered(case.method, case.path, case.headers, case.body)
        yield of_exchange(fault(named, error), nothing)
        return
    if reply.status != case.status:
        yield of_exchange(f"{named}: {reply.status}, not {case.status}", exchange)


def exchanged(url: str, judge: Judge, request: Request) -> Exchange:
    """One request that a link leads to, or starts at, judged as a directed case is."""
    method, path, headers, body = request
    reply = ask(url, path, dict(headers), method, body)
    exchange = Exchange.of(method, path, headers, reply, body)
    judge.take(exchange)
    return exchange


def reply_to(url: str, case: cases.Directed) -> Reply:
    """The answer over a connection of its own; of HEAD with whatever follows the headers."""
    if case.method != "HEAD":
        return ask(url, case.path, dict(case.headers), method=case.method, body=case.body)
    # a client library does not look for the body that must not be there
    lines = [f"{name}: {value}" for name, value in {"Host": "x", **case.headers}.items()]
    head = "\r\n".join([f"HEAD {case.path} HTTP/1.1", *lines, "Connection: close", "", ""])
    top, _, body = send_raw(url, head.encode()).partition(b"\r\n\r\n")
    if not top.startswith(b"HTTP/"):
        raise ConnectionError(f"no answer: {top[:80]!r}")
    first, *rest = top.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in rest)
    return Reply(int(first.split()[1]), {k.lower(): v for k, v in headers.items()}, body)
