"""The rows of the bench, in the order in which they share a running service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from tests.bench.changes import changing
from tests.bench.driver import request_bytes
from tests.bench.figures import (
    Cost,
    Subject,
    interleaved,
    middle,
    of_process,
    of_service,
    summary,
)
from tests.bench.floor import floor_beside, retargeted, sendall_ms
from tests.bench.neighbours import beside, quiet_beside_greedy, rotating, storm
from tests.bench.paced import paced
from tests.bench.served import GZIP, Served, tree_of
from tests.bench.sizes import (
    empty_domains,
    many_domains,
    own_domain,
    pulls_of,
    registration_ms,
)
from tests.bodies import JSON, body_now
from tests.client import ask, bearer, pull_path
from tests.heartbeats import OPERATION as HEARTBEAT
from tests.heartbeats import heartbeat_path

PULL = "GetNodeState"
SMALL, MIDDLE, LARGE, LARGEST = 64, 5_000, 10_000, 50_000
# Of a Domain of 5,000 that pull; one further rotates its key.
ASKING_OF_MIDDLE = 1_000
REGISTRATIONS = 60
DOMAINS, NODES_OF_EACH, ROUNDS_OF_DOMAINS = 100, 1_000, 3
# Different Nodes of the largest Domain that ask; to mint more tokens would take longer than to ask.
ASKING_OF_LARGEST = 5_000
# The sample's Node with a corrupt row: like every Node it pulls, too.
PACED_PER_SECOND, PACED_SECONDS = 20, 20


class Figure(TypedDict):
    what: str
    must: str
    ratio: float | None
    now: NotRequired[dict[str, Any]]
    base: NotRequired[dict[str, Any]]
    floor: NotRequired[dict[str, Any]]
    small: NotRequired[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Run:
    """The measurements, and the load of each; without ``wanted`` rows all are made."""

    rounds: int
    seconds: int
    connections: int
    now: Path
    base: Path | None
    wanted: set[str]
    say: Callable[[str], None]

    def wants(self, *numbers: str) -> bool:
        return not self.wanted or not self.wanted.isdisjoint(numbers)

    def costs(self, *subjects: Subject) -> dict[str, list[Cost]]:
        """The rounds of subjects that differ in name, warm."""
        for subject in subjects:
            subject.warm(2, self.connections)
        found = interleaved(subjects, self.rounds, self.seconds, self.connections)
        for name, costs in found.items():
            self.say(f"{name}: worker {middle(costs, lambda c: c.worker):.3f} ms")
        return found


def measure(run: Run, figures: dict[str, Figure]) -> None:
    """Fill in every row that is wanted, by its number."""
    if run.wants("1", "2", "5", "8", "13"):
        run.say(f"{SMALL} Nodes")
        with ExitStack() as open_:
            _small(run, _sides(run, SMALL, open_), figures)
    if run.wants("3", "6", "6a", "10"):
        run.say(f"{LARGE} Nodes")
        with ExitStack() as open_:
            _large(run, _sides(run, LARGE, open_), figures, open_)
    if run.wants("7"):
        run.say(f"{MIDDLE} Nodes")
        with ExitStack() as open_:
            _rotated(run, _sides(run, MIDDLE, open_)["now"], figures)
    if run.wants("9"):
        run.say(f"registrations beside {LARGE} Nodes")
        with ExitStack() as open_:
            _registered(_sides(run, LARGE, open_)["now"], figures)
    if run.wants("10"):
        run.say(f"{DOMAINS} Domains of {NODES_OF_EACH} Nodes")
        with ExitStack() as open_:
            now = _sides(run, SMALL, open_)["now"]
            ids = open_.enter_context(many_domains(now, DOMAINS, NODES_OF_EACH))
            pulls_of(now, ids, ROUNDS_OF_DOMAINS)
            figures["10b"] = of_bytes(f"memory with {DOMAINS} Domains", 300e6, {"now": now})
    if run.wants("11"):
        run.say(f"a herd of {LARGE} first pulls")
        with ExitStack() as open_:
            figures["11"] = of_storm(storm(_sides(run, LARGE, open_)["now"], LARGE), LARGE)
    if run.wants("12"):
        run.say("a quiet client beside greedy ones")
        with ExitStack() as open_:
            now = _sides(run, SMALL, open_)["now"]
            found = quiet_beside_greedy(now, pulls(now, range(1, SMALL)), 4 * run.seconds)
            figures["12"] = {
                "what": "a quiet client beside 500: within 3x its own median",
                "must": ">= 0.9",
                "ratio": found["within"],
                "now": found,
            }
    if run.wants("4"):
        run.say(f"{LARGEST} Nodes")
        with ExitStack() as open_:
            now = _sides(run, LARGEST, open_)["now"]
            _largest(run, now, figures, _small_beside(open_))


def _sides(run: Run, nodes: int, open_: ExitStack) -> dict[str, Served]:
    """The services side by side: ``now``, and ``base`` where there is one."""
    trees = {"now": run.now, "base": run.base}
    return {name: open_.enter_context(Served(tree, nodes)) for name, tree in trees.items() if tree}


def _small_beside(open_: ExitStack) -> Subject:
    """Row 1's pull of a service of its own, to be measured in turn with a larger Domain's."""
    small = open_.enter_context(Served(tree_of(None, "small"), SMALL))
    return of_service(small, "small", pulls(small, range(SMALL)), PULL)


def pulls(served: Served, numbers: Sequence[int]) -> list[bytes]:
    return [served.pull(number) for number in numbers]


def heartbeats(served: Served, numbers: Sequence[int]) -> list[bytes]:
    """As of now."""
    body = body_now(HEARTBEAT)
    return [
        request_bytes(
            served.url,
            heartbeat_path(served.node(number)),
            JSON | GZIP | bearer(served.token(number)),
            body,
        )
        for number in numbers
    ]


def _small(run: Run, sides: dict[str, Served], figures: dict[str, Figure]) -> None:
    """Rows 1, 2, 5, 8 and 13."""
    now, numbers = sides["now"], range(SMALL)
    reply = ask(now.url, pull_path(now.node(0)), now.headers(0))
    beat = ask(
        now.url,
        heartbeat_path(now.node(0)),
        JSON | GZIP | bearer(now.token(0)),
        "POST",
        body_now(HEARTBEAT),
    )
    with floor_beside(now, {PULL: reply, HEARTBEAT: beat}) as (url, pid):
        found = run.costs(
            *(
                of_service(service, side, pulls(service, numbers), PULL)
                for side, service in sides.items()
            ),
            of_process("floor", url, pid, retargeted(pulls(now, numbers), now.url, url)),
        )
        figures["1"] = compared("full pull, 64 peers", "<= 1.8x floor", found, "floor")
        if "base" in found:
            both = {"now": found["now"], "base": found["base"]}
            figures["2"] = compared(
                "the same, CPU of all processes", "<= 0.5 of BASE", both, "base", lambda c: c.total
            )
        if run.wants("5"):
            subjects = [
                of_service(service, side, conditional_pulls(service, numbers), PULL, "304")
                for side, service in sides.items()
            ]
            asked = retargeted(conditional_pulls(now, numbers), now.url, url)
            found = run.costs(*subjects, of_process("floor", url, pid, asked))
            figures["5"] = compared("conditional pull, 304", "<= 1.7x floor", found, "floor")
        if run.wants("8"):
            subjects = [
                of_service(service, side, heartbeats(service, numbers), HEARTBEAT)
                for side, service in sides.items()
            ]
            asked = retargeted(heartbeats(now, numbers), now.url, url)
            found = run.costs(*subjects, of_process("floor", url, pid, asked))
            figures["8"] = compared("heartbeat", "<= 1.8x floor", found, "floor")
    if run.wants("13"):
        total = figures["1"]["now"]["total_ms"]
        costs = {
            side: paced(service, SMALL, PACED_PER_SECOND, PACED_SECONDS)
            for side, service in sides.items()
        }
        ratio = costs["now"]["total_ms"] / total
        figures["13"] = {
            "what": "paced, 20 pulls a second, all processes",
            "must": "<= 1.4x row 2",
            "ratio": round(ratio, 3),
            **costs,  # type: ignore[typeddict-item]
        }
        run.say(f"paced: {costs}")


def conditional_pulls(served: Served, numbers: Sequence[int]) -> list[bytes]:
    """Conditional pulls of what each Node has now."""
    return [served.pull(number, If_None_Match=served.etag(number)) for number in numbers]


def _large(
    run: Run, sides: dict[str, Served], figures: dict[str, Figure], open_: ExitStack
) -> None:
    """Rows 3, 6, 6a and 10."""
    subjects = [
        of_service(service, side, pulls(service, range(LARGE)), PULL)
        for side, service in sides.items()
    ]
    for subject in subjects:  # once each: verified tokens are remembered
        subject.warm(12, run.connections)
    for served in sides.values():
        served.settle()
    if run.wants("3"):
        still = run.costs(*subjects, _small_beside(open_))
        figures["3"] = compared("full pull, 10,000 peers", "<= 1.25x 64 peers", still, "small")
    elif run.wants("6", "6a"):
        still = run.costs(*subjects)
    for number, per_second, must in (("6", 1, "<= 2x unchanged"), ("6a", 5, ">= 0.7 of unchanged")):
        if not run.wants(number):
            continue
        found: dict[str, list[Cost]] = {}
        for subject, served in zip(subjects, sides.values(), strict=True):
            with changing(served, per_second):
                found |= run.costs(subject)
        what = f"10,000 peers, {per_second} changes a second"
        if number == "6":
            before = middle(still["now"], lambda cost: cost.worker)
            figures["6"] = against(f"{what}: worker", must, found, before)
        else:
            before = middle(still["now"], lambda cost: cost.measured.per_second)
            figures["6a"] = against(f"{what}: answers", must, found, None)
            now = middle(found["now"], lambda cost: cost.measured.per_second)
            figures["6a"]["ratio"] = round(now / before, 3)
    if run.wants("10"):
        figures["10"] = of_bytes("memory of a worker with 10,000 Nodes", 200e6, sides)


def _rotated(run: Run, now: Served, figures: dict[str, Figure]) -> None:
    """Row 7."""
    step = (MIDDLE - 1) // ASKING_OF_MIDDLE
    subject = of_service(now, "now", pulls(now, range(1, MIDDLE, step)), PULL)
    subject.warm(4, run.connections)
    found: dict[str, list[Cost]] = {"base": [], "now": []}
    statuses: list[object] = []
    for _ in range(run.rounds):
        found["base"].append(subject.cost(run.seconds, run.connections))
        with beside(rotating(now, 0)) as told:
            found["now"].append(subject.cost(run.seconds, run.connections))
        statuses += told
    figure = compared(
        "a Node rotates its key: the others' answers",
        ">= 0.8",
        found,
        "base",
        lambda cost: cost.measured.per_second,
    )
    figure["now"] |= {"rotations": statuses.count(200), "limited": statuses.count(429)}
    figures["7"] = figure


def _registered(now: Served, figures: dict[str, Figure]) -> None:
    """Row 9."""
    registration_ms(now, [own_domain(now)], 5)
    into_none = registration_ms(now, empty_domains(now, REGISTRATIONS), REGISTRATIONS)
    into_many = registration_ms(now, [own_domain(now)], REGISTRATIONS)
    ratio = float(into_many["total_ms"]) / float(into_none["total_ms"])  # type: ignore[arg-type]
    figures["9"] = {
        "what": "registration into 10,000 Nodes, beside into none: all CPU",
        "must": "<= 5x",
        "ratio": round(ratio, 3),
        "now": into_many,
        "base": into_none,
    }


def of_storm(found: dict[str, Any], nodes: int) -> Figure:
    """Row 11. The ratio is the share of 30 s that the last answer took; 0 where one is missing."""
    is_whole = found["statuses"] == {"200": nodes} and not found["refused_beside"]
    return {
        "what": f"{nodes:,} first pulls at once: the last answer, of 30 s",
        "must": "<= 1, heartbeat 5 s, /livez 250 ms",
        "ratio": round(found["last_s"] / 30, 3) if is_whole else None,
        "now": found,
    }


def of_bytes(what: str, most: float, sides: dict[str, Served]) -> Figure:
    """Memory of the largest worker, as a share of what it may have."""
    memory = {side: {"bytes": service.worker_bytes()} for side, service in sides.items()}
    ratio = round(memory["now"]["bytes"] / most, 3)
    must = f"< {most / 1e6:.0f} MB"
    return {"what": what, "must": must, "ratio": ratio, **memory}  # type: ignore[typeddict-item]


def _largest(run: Run, now: Served, figures: dict[str, Figure], small: Subject) -> None:
    """Row 4."""
    step = LARGEST // ASKING_OF_LARGEST
    asked = pulls(now, range(0, LARGEST, step))
    body = ask(now.url, pull_path(now.node(0)), now.headers(0)).body
    subject = of_service(now, "now", asked, PULL)
    subject.warm(10, run.connections)
    now.settle()
    found = run.costs(subject, small)
    bare = sendall_ms(body)
    figure = compared("full pull, 50,000 peers, less sendall", "<= 1.35x 64 peers", found, "small")
    figure["ratio"] = round((figure["now"]["worker_ms"] - bare) / figure["small"]["worker_ms"], 3)
    figure["now"] |= {"sendall_ms": round(bare, 3), "bytes": len(body)}
    figures["4"] = figure


def compared(
    what: str,
    must: str,
    found: dict[str, list[Cost]],
    other: str,
    of: Callable[[Cost], float] = lambda cost: cost.worker,
) -> Figure:
    """``now`` beside another subject of the same rounds."""
    ratio = middle(found["now"], of) / middle(found[other], of)
    parts: dict[str, Any] = {name: summary(costs) for name, costs in found.items()}
    return {"what": what, "must": must, "ratio": round(ratio, 3), **parts}  # type: ignore[typeddict-item]


def against(what: str, must: str, found: dict[str, list[Cost]], other_ms: float | None) -> Figure:
    """``now`` beside a figure of the same run."""
    worker = middle(found["now"], lambda cost: cost.worker)
    ratio = None if other_ms is None else round(worker / other_ms, 3)
    parts: dict[str, Any] = {name: summary(costs) for name, costs in found.items()}
    return {"what": what, "must": must, "ratio": ratio, **parts}  # type: ignore[typeddict-item]
