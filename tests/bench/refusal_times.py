"""Whether the time of a refusal tells if the object exists, for each operation that names one.

    .venv/bin/python -m tests.bench.refusal_times [--pairs 1000]

A stranger asks for an object that is there and for one that is not, in pairs of random order, over
one connection to a service with one worker. z is that of the Mann-Whitney test: without a
difference one operation in 370 has more than 3 or less than -3. The two last rows are credentials:
a wrong secret key of a Node that is there or not, a wrong bootstrap token that was issued or not.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from math import sqrt
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import UUID

from rich.console import Console
from rich.table import Column, Table

from composer.enrolment import bootstrap_token_text, parse_bootstrap_token
from handlers import OPERATIONS
from handlers.operation import Operation
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import bearer
from tests.good_requests import DECLARED, UNREAL, existing, filled

FOLDER = Path(__file__).resolve().parents[2] / ".dev" / "bench-refusal-times"
NO_LIMITS = {
    "PLEXSPHERE_REFUSALS_PER_MINUTE": "0",
    "PLEXSPHERE_SECRET_KEY_FAILURES_PER_MINUTE": "0",
    "PLEXSPHERE_ENROLMENTS_PER_MINUTE": "0",
    "PLEXSPHERE_KEY_ROTATION_INTERVAL": "0",
}
WARM_PAIRS = 50


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and the status of its refusal."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None
    status: int


Pair = tuple[Question, Question]  # of an object that is there, and of one that is not


def questions(stack: Stack) -> Iterator[tuple[str, Pair]]:
    stranger = bearer(stack.token("user:stranger"))
    for name, operation in OPERATIONS.items():
        if not isinstance(operation, Operation) or operation.way.address is None:
            continue
        there = existing(stack, name)
        pair = [
            Question(
                DECLARED[name].method,
                filled(DECLARED[name].path, parameters),
                stranger | JSON,
                body_now(name),
                403,
            )
            for parameters in (there, {**there, operation.way.address.parameter: UNREAL})
        ]
        yield name, (pair[0], pair[1])
    yield "a secret key", _by_node(stack, lambda node: f"nsk_a_{_key(node)}")
    known = parse_bootstrap_token(scratch.bootstrap_token(stack))
    assert known is not None
    pair = [
        Question("POST", "/v1/register", JSON, body_now("PostRegister", bootstrap_token=text), 422)
        for text in (
            bootstrap_token_text(id, bytes(32)) for id in (UUID(known.caller.id), UUID(UNREAL))
        )
    ]
    yield "a bootstrap token", (pair[0], pair[1])


def _by_node(stack: Stack, credential: Callable[[str], str]) -> Pair:
    pair = [
        Question("GET", f"/v1/nodes/{node}/state", bearer(credential(node)), None, 401)
        for node in (str(stack.node_id), UNREAL)
    ]
    return pair[0], pair[1]


def _key(node: str) -> str:
    return urlsafe_b64encode(UUID(node).bytes + bytes(32)).decode()


def seconds(connection: HTTPConnection, question: Question) -> float:
    began = time.perf_counter()
    connection.request(question.method, question.path, question.body, question.headers)
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    assert answer.status == question.status, (question, answer.status)
    return took


def measured(connection: HTTPConnection, pair: Pair, pairs: int) -> tuple[list[float], list[float]]:
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(pairs + WARM_PAIRS):
        order = [0, 1]
        random.shuffle(order)
        for which in order:
            took = seconds(connection, pair[which])
            if number >= WARM_PAIRS:
                times[which].append(took)
    return times


def z_of(first: Sequence[float], second: Sequence[float]) -> float:
    """By the Mann-Whitney test; above 0 where the first are slower. Ties are as good as none."""
    ordered = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, which) in enumerate(ordered, 1) if which == 0)
    n, m = len(first), len(second)
    expected, deviation = n * (n + m + 1) / 2, sqrt(n * m * (n + m + 1) / 12)
    return (ranks - expected) / deviation


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("names", nargs="*", help="operations; without one all")
    options = parser.parse_args()
    pairs = options.pairs
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = Table(
        Column("refusal", no_wrap=True),
        *("there, median us", "not there, median us", "difference us", "z"),
        caption=f"{pairs:,} pairs each",
    )
    with Stack(FOLDER, nodes=64, workers=1, env=NO_LIMITS, nats=True) as stack:
        address = urlsplit(stack.url)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=20)
        for number in (1, 2):  # as in any service, agents pull
            node = stack.sample.node_id(number)
            own = bearer(stack.token(f"node:{node}"))
            seconds(connection, Question("GET", f"/v1/nodes/{node}/state", own, None, 200))
        for name, pair in questions(stack):
            if options.names and name not in options.names:
                continue
            there, missing = measured(connection, pair, pairs)
            middle = [median(times) * 1e6 for times in (there, missing)]
            table.add_row(
                name,
                *(f"{value:,.0f}" for value in middle),
                f"{middle[0] - middle[1]:+,.0f}",
                f"{z_of(there, missing):+.1f}",
            )
        connection.close()
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    Console(width=100).print(table, f"load average {load} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
