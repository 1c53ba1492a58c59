"""The digest of each Node's pull, in a file beside a backup: the restored ledger must have them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from composer.deadline import Deadline
from composer.errors import ComposerError, CorruptLedger
from db.backup import domain_ids
from db.connections import ReadSession, Sessions
from db.fleet import PostgresFleet
from handlers.current_digests import CurrentDigests

READ_SECONDS = 60.0  # for a Domain
CORRUPT = "corrupt"  # every pull of the Node is a 500


def pull_digests(sessions: Sessions[ReadSession]) -> dict[str, str]:
    """Node -> the digest of its pull, which its ETag holds; a Domain whose peers cannot be decoded
    stands for its Nodes. Raises DatastoreUnavailable."""
    found: dict[str, str] = {}
    for domain_id in domain_ids(sessions, _deadline()):
        try:
            moment = PostgresFleet(sessions).of_domain(domain_id, _deadline())
        except CorruptLedger:
            found[str(domain_id)] = CORRUPT
            continue
        digests = CurrentDigests(moment.peer_table)
        for node in moment.nodes:
            try:
                found[str(node.id)] = digests.digest(node.id, node)
            except ComposerError:
                found[str(node.id)] = CORRUPT
    return found


def digests_file(dump: Path) -> Path:
    """The file beside a dump."""
    return dump.with_name(f"{dump.name}.digests")


def write_digests(file: Path, digests: Mapping[str, str]) -> None:
    """A line for each Node, by id."""
    file.write_text("".join(f"{node} {digest}\n" for node, digest in sorted(digests.items())))


def read_digests(file: Path) -> dict[str, str]:
    """The digests of such a file, by Node. Raises OSError, ValueError."""
    return dict(line.split(" ") for line in file.read_text().splitlines())


def _deadline() -> Deadline:
    return Deadline.after(READ_SECONDS, time.monotonic)
