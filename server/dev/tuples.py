"""Fills a SpiceDB: the schema, and the tuples that the ledger implies."""

import time
from collections.abc import Iterable
from typing import Any

from composer.deadline import Deadline
from server.authz.admin import SpiceDbAdmin, schema_text
from server.authz.tuples import RelationTuple, TupleWriter

# For 100,000 Nodes on a busy machine; seconds.
FILL_SECONDS = 120.0


def fill(channel: Any, tuples: Iterable[RelationTuple]) -> None:
    """Through a SpiceDbChannel, or a value with its two methods. Raises AuthzUnavailable."""
    deadline = Deadline.after(FILL_SECONDS, time.monotonic)
    SpiceDbAdmin(channel).write_schema(schema_text(), deadline)
    touch(channel, tuples)


def touch(channel: Any, tuples: Iterable[RelationTuple]) -> None:
    """Writes the tuples; harmless to repeat. Raises AuthzUnavailable."""
    deadline = Deadline.after(FILL_SECONDS, time.monotonic)
    TupleWriter(channel).touch(list(tuples), deadline)


def as_lines(tuples: Iterable[tuple[str, str, str]]) -> str:
    """(resource, relation, subject) each as ``resource#relation@subject``, as in SpiceDB's docs."""
    return "".join(f"{resource}#{relation}@{subject}\n" for resource, relation, subject in tuples)


def from_lines(text: str) -> list[RelationTuple]:
    """The tuples that as_lines wrote."""
    found = []
    for line in text.split():
        resource, _, rest = line.partition("#")
        relation, _, subject = rest.partition("@")
        found.append(RelationTuple(resource, relation, subject))
    return found
