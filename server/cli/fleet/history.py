"""``plexsphere-state fleet history``: the digests a Node was granted, and what changed between."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted, utc
from server.cli.options import AsJson, Dsn, Node, node_id
from server.cli.screen import Screen, line, plain, table, write_json

if TYPE_CHECKING:
    from db.history import GrantedDigest, KeptBody
    from server.cli.differences import SnapshotDifference

EXAMPLE = "plexsphere-state fleet history $PLEXSPHERE_NODE_ID --last"
READ_SECONDS = 30.0
SHORT = 12  # characters of a digest in a sentence


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """The difference between two kept bodies, each by its digest."""

    before: str
    after: str
    difference: SnapshotDifference

    def to_json(self) -> dict[str, Any]:
        """The history as JSON, for scripts."""
        return {"before": self.before, "after": self.after, **self.difference.to_json()}

    def render(self) -> Iterator[Text | Table]:
        """The history as a table, for people."""
        from server.cli.differences import OVER_TIME, render

        yield line("From", f"{self.before[:SHORT]} to {self.after[:SHORT]}")
        yield from render(self.difference, OVER_TIME)


def history(
    node: Node,
    diff: Annotated[
        tuple[str, str],
        typer.Option(metavar="A B", help="Two digests, or their beginnings.", show_default=False),
    ] = ("", ""),
    last: Annotated[bool, typer.Option("--last", help="The newest change alone.")] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, help="Number of digests, the newest.")
    ] = 20,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Show the digests a Node was granted, when, and what changed between them, the newest last.

    Only pulls of the Node's own agent count. They come from its audit rows, and go back as far as
    those are kept. A digest that returned has a line again. Where the service keeps bodies
    (PLEXSPHERE_HISTORY) the command shows what changed from each kept body to the next; with --last
    between the newest two, with --diff between any two.

    With --last and --diff the exit code is 1 when something changed. It is always 1 when the ledger
    has neither the Node nor an audit row of it.
    """
    from composer.deadline import Deadline
    from db.history import NodeHistory

    if last and any(diff):
        raise Failure("choose one of --last and --diff.", ExitCode.USAGE)
    addressed, ledger = node_id(node), answering_dsn(dsn)
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    with closing(NodeHistory(ledger, addressed)) as ledger_history:
        bodies = {body.digest: body for body in ledger_history.bodies(deadline)}
        served = ledger_history.digests(limit, deadline)[::-1]
        # The audit rows of a Node stay when it is deregistered.
        if not served and not bodies and not ledger_history.node_exists(deadline):
            raise Failure(f"the ledger has no Node {addressed}.", ExitCode.DIFFERENT)
    if any(diff):
        _show_step(_step(_body(diff[0], bodies), _body(diff[1], bodies)), addressed, as_json)
        return
    kept = [bodies[row.digest] for row in served if row.digest in bodies]
    pairs = list(pairwise(body for body in kept if body.compressed is not None))
    if last:
        if not pairs:
            raise Failure(
                "fewer than two bodies of this Node are kept: the service keeps bodies where "
                "PLEXSPHERE_HISTORY is over 1."
            )
        _show_step(_step(*pairs[-1]), addressed, as_json)
        return
    steps = [_step(*pair) for pair in pairs]
    if as_json:
        rows = [_row(row, bodies.get(row.digest)) for row in served]
        changes = [step.to_json() for step in steps]
        write_json({"node_id": addressed, "served": rows, "changes": changes})
    else:
        _show(addressed, served, bodies, steps)


def _body(text: str, bodies: Mapping[str, KeptBody]) -> KeptBody:
    """The kept body whose digest begins with ``text``, which may be an ETag too."""
    prefix = text.removeprefix("W/").strip('"').lower()
    found = [body for digest, body in bodies.items() if prefix and digest.startswith(prefix)]
    if not found:
        raise Failure(f"no body is kept of a digest that begins with {text!r}.")
    if len(found) > 1:
        sentence = f"{len(found)} digests begin with {text!r}: give more characters."
        raise Failure(sentence, ExitCode.USAGE)
    return found[0]


def _step(before: KeptBody, after: KeptBody) -> HistoryStep:
    from server.cli.differences import differences

    return HistoryStep(
        before.digest, after.digest, differences(_snapshot(before), _snapshot(after))
    )


def _snapshot(body: KeptBody) -> dict[str, Any]:
    from server.cli.snapshot_body import parse_snapshot

    if body.compressed is None:
        raise Failure(f"the body of {body.digest} was too large to be kept: {body.size:,} bytes.")
    try:
        return parse_snapshot(body.body())
    except ValueError as error:
        raise Failure(f"the kept body of {body.digest} {error}.") from error


def _show_step(step: HistoryStep, addressed: str, as_json: bool) -> None:
    if as_json:
        write_json({"node_id": addressed, **step.to_json()})
    else:
        Screen().print_all((line("Node", addressed), *step.render()))
    if not step.difference.same:
        raise typer.Exit(ExitCode.DIFFERENT)


def _show(
    addressed: str,
    served: Sequence[GrantedDigest],
    bodies: Mapping[str, KeptBody],
    steps: Sequence[HistoryStep],
) -> None:
    screen = Screen()
    screen.print(line("Node", f"{addressed}  {counted(len(served), 'digest')}"))
    if not served:
        return
    columns = ("first granted", "last granted", "grants", "body", "digest")
    rows = [
        (
            utc(row.first_at),
            utc(row.last_at),
            f"{row.grants:,}",
            _state_of_body(bodies.get(row.digest)),
            row.digest,
        )
        for row in served
    ]
    screen.print(table("", columns, rows))
    if not bodies:
        screen.print(plain("no body is kept: set PLEXSPHERE_HISTORY of the service", "dim"))
    for step in steps:
        typer.echo()
        screen.print_all(step.render())


def _state_of_body(body: KeptBody | None) -> str:
    if body is None:
        return "-"
    return "too large" if body.compressed is None else "kept"


def _row(served: GrantedDigest, body: KeptBody | None) -> dict[str, object]:
    return {
        "digest": served.digest,
        "first_at": served.first_at.isoformat(),
        "last_at": served.last_at.isoformat(),
        "grants": served.grants,
        "kept": body is not None and body.compressed is not None,
        "bytes": body and body.size,
    }
