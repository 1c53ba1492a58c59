"""The cost of validating a pull: this service's way beside jsonschema's.

    make bench-validation      (about a minute; SIZES=64,1000,10000)

The same snapshots against the same schemas, all formats asserted in both. Cold is a validator that
has seen nothing yet (compiled, since a worker compiles once), warm is the pull after it: a pull of
another Node of the same Domain, as most are. Medians of one run; compare the ratios.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
from rich.console import Console
from rich.table import Table

from composer.snapshot import Peers
from handlers.wire import SnapshotBody, SnapshotWire
from server.contract.document import Contract
from server.http.response_validation import Outgoing, ResponseValidator
from tests.factories import domain_of, node_id, peer_row, snapshot

SIZES = "64,1000,10000"
SECONDS = 3.0  # for each figure, once it has its least number of rounds
LEAST_ROUNDS, MOST_ROUNDS = 3, 400
CONTRACT = Contract.packaged()
HEADERS = {
    "etag": 'W/"x"',
    "cache-control": "private, no-cache",
    "vary": "Authorization, Accept-Encoding",
    "x-correlation-id": "x",
}
FORMATS = jsonschema.FormatChecker(["uuid", "date-time"])


@FORMATS.checks("byte", raises=binascii.Error)
def _is_base64(value: object) -> bool:
    return not isinstance(value, str) or base64.b64decode(value, validate=True) is not None


@FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


def draft4(schema: Any) -> Any:
    """A schema of the file as jsonschema reads it: only `nullable` has to be translated."""
    if isinstance(schema, list):
        return [draft4(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    rules = {key: draft4(value) for key, value in schema.items() if key != "nullable"}
    if schema.get("nullable") is True:
        rules["type"] = [rules["type"], "null"]
    return rules


def other_validator() -> jsonschema.Draft4Validator:
    """jsonschema's, over the schema of the pull's 200."""
    schemas = draft4(CONTRACT.document["components"]["schemas"])
    document = {
        "$ref": "#/components/schemas/NodeStateSnapshot",
        "components": {"schemas": schemas},
    }
    return jsonschema.Draft4Validator(document, format_checker=FORMATS)


def pulls(nodes: int) -> Iterator[SnapshotBody]:
    """Of one Node after the other, without end, as one worker encodes them."""
    wire, domain = SnapshotWire(), domain_of(*map(peer_row, range(1, nodes + 1)))
    while True:
        for number in range(1, nodes + 1):
            yield wire.encode(snapshot(number, peers=Peers(domain, node_id(number))))


def is_ours_sound(validator: ResponseValidator, body: SnapshotBody) -> bool:
    raw = body.to_bytes()
    return (
        validator.breach(Outgoing("GetNodeState", 200, "application/json", HEADERS, raw, body))
        is None
    )


def is_sound(validator: jsonschema.Draft4Validator, body: SnapshotBody) -> bool:
    """As a response hook has it: the bytes that are about to leave."""
    return validator.is_valid(json.loads(body.to_bytes()))


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds a pull, medians."""

    nodes: int
    ours_cold: float
    ours_warm: float
    other_cold: float
    other_warm: float


def cost(nodes: int, seconds: float = SECONDS) -> Cost:
    """One Domain size. Raises AssertionError where an answer is not sound to both."""
    bodies = pulls(nodes)
    ours, other = ResponseValidator(CONTRACT), other_validator()
    is_ours_sound(ours, next(bodies))
    return Cost(
        nodes,
        median(lambda: ResponseValidator(CONTRACT), bodies, is_ours_sound, seconds),
        median(lambda: ours, bodies, is_ours_sound, seconds),
        median(other_validator, bodies, is_sound, seconds),
        median(lambda: other, bodies, is_sound, seconds),
    )


def median(
    validator: Callable[[], Any],
    bodies: Iterator[SnapshotBody],
    sound: Callable[[Any, SnapshotBody], bool],
    seconds: float,
) -> float:
    """Of the rounds that fit; making the validator and encoding the pull are not counted."""
    rounds: list[float] = []
    until = time.perf_counter() + seconds
    while len(rounds) < LEAST_ROUNDS or (time.perf_counter() < until and len(rounds) < MOST_ROUNDS):
        values, body = validator(), next(bodies)
        started = time.perf_counter()
        assert sound(values, body)
        rounds.append((time.perf_counter() - started) * 1000)
    return statistics.median(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-validation")
    parser.add_argument("--sizes", default=SIZES)
    options = parser.parse_args()
    table = Table(
        "Nodes", "cold, ms", "jsonschema, ms", "times", "warm, ms", "jsonschema, ms", "times"
    )
    for measured in map(cost, map(int, options.sizes.split(","))):
        figures = (
            measured.ours_cold,
            measured.other_cold,
            measured.other_cold / measured.ours_cold,
        )
        figures += (
            measured.ours_warm,
            measured.other_warm,
            measured.other_warm / measured.ours_warm,
        )
        table.add_row(str(measured.nodes), *(f"{figure:,.3g}" for figure in figures))
    console = Console()
    console.print(table)
    load = ", ".join(f"{average:.2f}" for average in os.getloadavg())
    console.print(f"load average {load} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
