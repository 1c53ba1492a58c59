"""Write SpiceDB's schema, and compare SpiceDB with the ledger, which SpiceDB must follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.cli.contact import first_contact
from server.cli.formats import counted
from server.cli.screen import Screen, plain

if TYPE_CHECKING:
    from db.tuples import LedgerTuple
    from server.authz.comparison import Difference, TupleComparison

SUBCOMMANDS = ("schema", "verify", "repair")
SHOWN = 20  # relationships of each kind; --json has all


@contextmanager
def open_comparison() -> Iterator[TupleComparison]:
    """A comparison of the ledger and the SpiceDB of the settings."""
    from db.tuples import TupleLedger
    from server.authz.command_adapters import command_adapters
    from server.authz.comparison import TupleComparison
    from server.cli.relay import print_parked
    from server.settings import read_settings

    settings = read_settings(tokenless=True)
    first_contact(settings.dsn, settings.spicedb)
    with command_adapters(settings, "authz", print_parked) as parts:
        ledger = TupleLedger(parts.dsn, check=parts.check)
        try:
            yield TupleComparison(ledger, parts.reader, parts.relay)
        finally:
            ledger.close()


def show_difference(difference: Difference) -> None:
    """Print a difference for people."""
    screen = Screen()
    kinds = (
        ("missing", "in the ledger and not in SpiceDB", difference.missing),
        ("surplus", "in SpiceDB and not in the ledger", difference.surplus),
    )
    for kind, meaning, tuples in kinds:
        if tuples:
            screen.print(plain(f"{kind}: {counted(len(tuples), 'relationship')} {meaning}", "red"))
        for stored in tuples[:SHOWN]:
            screen.print(plain(f"  {kind}  {stored.object}#{stored.relation}@{stored.subject}"))
        if len(tuples) > SHOWN:
            screen.print(plain(f"  and {len(tuples) - SHOWN:,} more: --json has all"))
    if not difference.all:
        number = counted(difference.tuples, "relationship")
        screen.print(plain(f"SpiceDB holds what the ledger implies: {number}", "green"))
    if difference.pending:
        number = counted(difference.pending, "object")
        screen.print(plain(f"not compared, because the outbox has rows of theirs: {number}"))


def to_json(difference: Difference) -> dict[str, object]:
    """A difference as JSON, for scripts."""
    return {
        "missing": [_json(stored) for stored in difference.missing],
        "surplus": [_json(stored) for stored in difference.surplus],
        "implied": difference.tuples,
        "on_their_way": difference.pending,
    }


def _json(stored: LedgerTuple) -> dict[str, str]:
    return {"resource": stored.object, "relation": stored.relation, "subject": stored.subject}
