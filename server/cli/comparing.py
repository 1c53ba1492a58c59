"""``plexsphere-state authz verify`` and ``repair``: SpiceDB beside the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import TYPE_CHECKING

import typer

from server.cli.failures import ExitCode
from server.cli.groups import Example
from server.cli.operators import operator
from server.cli.options import AsJson
from server.cli.screens import Screen, plain, write_json
from server.cli.text import counted

if TYPE_CHECKING:
    from db.tuples import LedgerTuple
    from server.authz.comparison import Difference, TupleComparison

SHOWN = 20  # of each kind; --json has all


def verify(as_json: AsJson = False) -> None:
    """Compare every relationship in SpiceDB with what the ledger implies.

    Missing ones keep somebody out, surplus ones let somebody in. What waits in the outbox is on its
    way and no difference. Exit code 1 on a difference.
    """
    with _comparison() as comparison:
        found = comparison.difference()
    if as_json:
        write_json(_json(found))
    else:
        _show(found)
    if found.all:
        raise typer.Exit(ExitCode.DIFFERENT)


def repair(as_json: AsJson = False) -> None:
    """Bring SpiceDB in line with the ledger: add what is missing, delete what is too much.

    Each object is looked at again before it is changed, so that what happens meanwhile is not
    undone; the audit has a row for each change. Definitions that are not ours are left alone. Rows
    of the outbox that SpiceDB refused are closed where nothing differs any more. Exit code 1 when
    something still differs.
    """
    with _comparison() as comparison:
        found = comparison.difference()
        comparison.repair(found, operator())
        left = comparison.difference() if found.all else found
        closed = comparison.close_parked(left)
    if as_json:
        write_json({"found": _json(found), "left": _json(left), "parked_closed": closed})
    else:
        _show(found)
        screen = Screen()
        if found.all:
            mended = counted(len(set(found.all) - set(left.all)), "relationship")
            screen.print(plain(f"mended: {mended}; left: {len(left.all):,}", "bold"))
        if closed:
            screen.print(plain(f"closed: {counted(closed, 'parked row')} of the outbox"))
    if left.all:
        raise typer.Exit(ExitCode.DIFFERENT)


COMMANDS: tuple[Example, ...] = (
    (verify, "plexsphere-state authz verify --json"),
    (repair, "plexsphere-state authz repair"),
)
WORDS = "Hold SpiceDB against the ledger, which is what it follows."


@contextmanager
def _comparison() -> Iterator[TupleComparison]:
    from db.tuples import TupleLedger
    from server.authz.command_adapters import command_adapters
    from server.authz.comparison import TupleComparison
    from server.cli.relaying import say_parked
    from server.settings import read_settings

    settings = read_settings(tokenless=True)
    with command_adapters(settings, "authz", say_parked) as parts:
        ledger = TupleLedger(parts.dsn)
        try:
            yield TupleComparison(ledger, parts.reader, parts.relay)
        finally:
            ledger.close()


def _show(found: Difference) -> None:
    screen = Screen()
    kinds = (
        ("missing", "in the ledger and not in SpiceDB", found.missing),
        ("surplus", "in SpiceDB and not in the ledger", found.surplus),
    )
    for word, meaning, tuples in kinds:
        if tuples:
            screen.print(plain(f"{word}: {counted(len(tuples), 'relationship')} {meaning}", "red"))
        for one in tuples[:SHOWN]:
            screen.print(plain(f"  {word}  {in_words(one)}"))
        if len(tuples) > SHOWN:
            screen.print(plain(f"  and {len(tuples) - SHOWN:,} more: --json has all"))
    if not found.all:
        said = f"SpiceDB holds what the ledger implies: {counted(found.tuples, 'relationship')}"
        screen.print(plain(said, "green"))
    if found.pending:
        screen.print(plain(f"on their way: {counted(found.pending, 'object')}"))


def in_words(one: LedgerTuple) -> str:
    """A relationship as SpiceDB's documentation spells it."""
    return f"{one.object}#{one.relation}@{one.subject}"


def _json(found: Difference) -> dict[str, object]:
    fields = ("resource", "relation", "subject")
    return {
        "missing": [dict(zip(fields, astuple(one), strict=True)) for one in found.missing],
        "surplus": [dict(zip(fields, astuple(one), strict=True)) for one in found.surplus],
        "implied": found.tuples,
        "on_their_way": found.pending,
    }
