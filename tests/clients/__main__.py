"""python -m tests.clients: the table of operations and clients; exit code 1 where one fails."""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from server.dev.stack import Stack
from tests.clients.answers import DECLARED, Case, live_cases, recorded_cases
from tests.clients.generators import AGENT, CLIENTS, OF_AN_AGENT, Driver, Errors, Failed
from tests.clients.proxy import serving
from tests.stacks import made_anew_next_time

PAGE = Path(__file__).resolve().parents[2] / "docs" / "generated-clients.md"
INTRODUCTION = """# Generated clients

Made by `make clients`: how many answers the client of each generator decodes, those of the running
service and those of the table of operations, and for each status an answer with keys that no
release sends yet. Of `GetNodeEvents`, an open stream of the running service with four events, and
every sample event. openapi-generator's Go client returns at the end of a stream only, and
openapi-typescript makes types only: for these two the stream is opened by hand, and each event is
decoded by the generated union of all events.

The agent's wire is what today's agents (plexd) make of an answer, and no generator: a dash stands
for an operation that they never call. It is of IPv4 only. It refuses an answer whose peers or rules
are of IPv6, as an agent does; such answers are counted as refused.

"""
# The agent's own refusal (agent.go.txt).
IPV6 = "not of IPv4"
FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "clients"


def main(names: Sequence[str]) -> int:
    """``names`` are some of the clients; none means all."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    stack = Stack(FOLDER / "stack", workers=1, nats=True, relay=True)
    made_anew_next_time(stack)
    stack.start()
    try:
        recorded = list(recorded_cases(list(live_cases(stack))))
        results = {}
        for name, (driver, programs) in CLIENTS.items():
            if names and name not in names:
                continue
            absent = [program for program in programs if shutil.which(program) is None]
            if absent:
                print(f"{name}: not tried, because there is no {absent[0]}")
                continue
            # Each client gets objects of its own to write to.
            cases = [*live_cases(stack), *recorded]
            if name == AGENT:
                cases = [case for case in cases if case.operation in OF_AN_AGENT]
            results[name] = _driven(name, driver, cases, stack.url)
    finally:
        stack.stop()
    return _print(results)


Outcomes = tuple[Sequence[Case], Errors]


def _driven(name: str, driver: Driver, cases: Sequence[Case], service: str) -> Outcomes:
    folder = FOLDER / name
    folder.mkdir()
    with serving(cases, service) as url:
        try:
            errors = driver(folder, cases, url)
        except Failed as failure:
            print(f"{name}: {failure}")
            errors = ["see above"] * len(cases)
    return cases, errors


def _print(results: dict[str, Outcomes]) -> int:
    names = list(results)
    lines = ["| operation | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    faults: list[str] = []
    for operation in DECLARED:
        cells = []
        for name, (cases, errors) in results.items():
            failed = defaultdict(list)
            tried = ipv6 = 0
            for case, error in zip(cases, errors, strict=True):
                if case.operation == operation:
                    tried += 1
                    if name == AGENT and error is not None and set(error.splitlines()) == {IPV6}:
                        ipv6 += 1
                    elif error is not None:
                        failed[case.title].append(error)
            cells.append(_cell(tried, sum(map(len, failed.values())), ipv6))
            faults += [
                f"{name}: {operation} {title}: {errors[0]}" for title, errors in failed.items()
            ]
        lines.append(f"| {operation} | " + " | ".join(cells) + " |")
    print("\n".join(lines))
    if len(names) == len(CLIENTS):
        PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")
    for fault in faults:
        print(fault[:400])
    return 1 if faults else 0


def _cell(tried: int, failed: int, ipv6: int) -> str:
    if failed:
        return f"{failed} of {tried} not decoded"
    if not tried:
        return "-"
    return f"{tried - ipv6} decoded" + (f", {ipv6} refused" if ipv6 else "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
