"""The answers that callers had in a cell, and their judgement: pure values, without any part."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.client import Reply

KEYS = ("peers", "reachability", "policy", "bridge", "state", "reports")
STALE = "x-plexsphere-stale-seconds"
WRITTEN = "seq"  # the metadata entry whose values count up
# Where streams are held: the way of an event, and what opens and ends a stream.
STREAMED = ("NATS", "relay", "SpiceDB", "Postgres")
EVENT_FAULTS = ("events_lost", "events_doubled", "events_reordered")

# The id of an event; or the number that a pull showed, where the stream said that one is needed.
Received = str | int


@dataclass(slots=True)
class Cell:
    """A row of ``.dev/faults.json``."""

    dependency: str
    fault: str
    answers: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    fail_open: int = 0
    partial: int = 0
    longest_s: float = 0.0
    livez_s: float = 0.0
    recovered_s: float | None = None
    lost: int = 0
    events: int | None = None
    events_lost: int = 0
    events_doubled: int = 0
    events_reordered: int = 0
    events_s: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether the cell has what it must have."""
        return not self.faults()

    def faults(self, deadline: float = 3.5, livez: float = 1.0, recovery: float = 5.0) -> list[str]:
        """The columns that are not as they must be."""
        counted = ("wrong", "fail_open", "partial", "lost", *EVENT_FAULTS)
        found = [name for name in counted if getattr(self, name)]
        if self.longest_s > deadline or self.livez_s > livez:
            found.append("longest_s")
        if self.recovered_s is None or self.recovered_s > recovery:
            found.append("recovered_s")
        return found

    def as_json(self) -> dict[str, Any]:
        return {
            "dependency": self.dependency,
            "fault": self.fault,
            "answers": dict(sorted(self.answers.items())),
            "wrong": self.wrong,
            "fail_open": self.fail_open,
            "partial": self.partial,
            "longest_s": round(max(self.longest_s, self.livez_s), 3),
            "recovered_s": None if self.recovered_s is None else round(self.recovered_s, 3),
            "lost": self.lost,
            "events": self.events,
            **{name: getattr(self, name) for name in EVENT_FAULTS if self.events is not None},
            "events_s": None if self.events_s is None else round(self.events_s, 3),
        }

    def note(self, column: str, text: str) -> None:
        """Count in a column, with a sentence for whoever mends it."""
        setattr(self, column, getattr(self, column) + 1)
        if len(self.notes) < 8:
            self.notes.append(f"{column}: {text}")


@dataclass(slots=True)
class NodePictures:
    """A Node as the ledger has it: its body without what changes, and the values written to it.

    ``at_least`` is what an answer must show: the newest that the Node has had from this host.
    """

    node_id: str
    body: Mapping[str, Any]
    attempted: int = 0
    acknowledged: int = 0
    at_least: int = 0

    def judge(self, cell: Cell, reply: Reply) -> None:
        """A 200 is the whole body, and not older than what the Node has had."""
        try:
            body = json.loads(reply.body)
        except ValueError:
            cell.note("partial", f"{self.node_id}: the body is no JSON")
            return
        if tuple(body) != KEYS or len(body["peers"]) < len(self.body["peers"]):
            cell.note("partial", f"{self.node_id}: {len(body.get('peers', ()))} peers")
            return
        value = written(body)
        if fixed(body) != self.body:
            cell.note("wrong", f"{self.node_id}: another body than the ledger's")
        elif not self.at_least <= value <= self.attempted:
            cell.note("wrong", f"{self.node_id}: {value}, not {self.at_least} to {self.attempted}")
        else:
            self.at_least = value


def fixed(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a body that no write of a cell changes."""
    metadata = [entry for entry in body["state"]["metadata"] if entry["key"] != WRITTEN]
    return {
        **{key: body[key] for key in ("peers", "policy", "bridge")},
        "state": {**body["state"], "metadata": metadata},
    }


def written(body: Mapping[str, Any]) -> int:
    """The number that was written last, as the body shows it."""
    values = [entry["value"] for entry in body["state"]["metadata"] if entry["key"] == WRITTEN]
    return int(values[0]) if values else 0


def outcome(reply: Reply | None) -> str:
    """The name of an answer in a cell."""
    if reply is None:
        return "no answer"
    if reply.status < 400:
        return f"{reply.status} stale" if STALE in reply.headers else str(reply.status)
    try:
        return f"{reply.status} {reply.code or ''}".strip()
    except (ValueError, AttributeError):
        return str(reply.status)


def unseen(ledger: Sequence[tuple[str, int]], received: Sequence[Received]) -> list[str]:
    """The events of ``ledger`` that did not come, and that no pull made unnecessary.

    ``ledger`` has the id and the number of each event of a Node, in order.
    """
    pulled = max((item for item in received if isinstance(item, int)), default=-1)
    return [id for id, number in ledger if id not in received and number > pulled]


def judge_events(
    cell: Cell, node_id: str, ledger: Sequence[tuple[str, int]], received: Sequence[Received]
) -> None:
    """Each event of the ledger comes once, and in the ledger's order."""
    places = {id: place for place, (id, _) in enumerate(ledger)}
    for id in unseen(ledger, received):
        cell.note("events_lost", f"{node_id}: {places[id]} of {len(ledger)}")
    seen: set[str] = set()
    last = -1
    for id in received:
        if not isinstance(id, str):
            continue
        cell.events = (cell.events or 0) + 1
        place = places.get(id, last)  # of before the cell, where the ledger has no place for it
        if id in seen:
            cell.note("events_doubled", f"{node_id}: {place} of {len(ledger)}")
        elif place < last:
            cell.note("events_reordered", f"{node_id}: {place} of {len(ledger)} after {last}")
        seen.add(id)
        last = max(last, place)
