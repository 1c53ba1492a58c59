"""``fleet history``: the digests a Node was granted, and in words what changed between them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from composer.deadline import Deadline
from server.cli.failures import ExitCode, Failure
from server.cli.options import AsJson, Dsn, node_id, usable_dsn
from server.cli.screens import Screen, line, plain, table, write_json
from server.cli.text import counted, moment

if TYPE_CHECKING:
    from db.node_history import KeptBody, Served
    from server.cli.differences import Difference

EXAMPLE = "plexsphere-state fleet history $PLEXSPHERE_NODE_ID --last"
READ_SECONDS = 30.0
SHORT = 12  # characters of a digest in a sentence


@dataclass(frozen=True, slots=True)
class Step:
    """What changed from one kept body to another; both by digest."""

    before: str
    after: str
    difference: Difference

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return {"before": self.before, "after": self.after, **self.difference.to_json()}

    def parts(self) -> Iterator[Text | Table]:
        """For people."""
        from server.cli.difference_tables import OVER_TIME, render

        yield line("From", f"{self.before[:SHORT]} to {self.after[:SHORT]}")
        yield from render(self.difference, OVER_TIME)


def history(
    node: Annotated[
        str,
        typer.Argument(
            metavar="NODE", envvar="PLEXSPHERE_NODE_ID", help="The Node's id.", show_default=False
        ),
    ],
    diff: Annotated[
        tuple[str, str],
        typer.Option(metavar="A B", help="Two digests, or how they begin.", show_default=False),
    ] = ("", ""),
    last: Annotated[bool, typer.Option("--last", help="The newest change alone.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many of the newest.")] = 20,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Show the digests a Node was granted, when, and what changed between them, the newest last.

    What its own agent pulled, not what somebody else did in its place, from its audit rows: as far
    back as those are kept. A digest that came back has a line again. What changed is told where the
    service keeps bodies (PLEXSPHERE_HISTORY), from each kept one to the next; with --last from the
    newest but one to the newest, with --diff between any two.

    With --last and --diff the exit code is 1 when something changed; always when there is no such
    Node and none of its audit rows.
    """
    from db.node_history import is_there, node_bodies, node_history

    if last and any(diff):
        raise Failure("choose one of --last and --diff.", ExitCode.USAGE)
    addressed, ledger = node_id(node), usable_dsn(dsn)
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    kept = {one.digest: one for one in node_bodies(ledger, addressed, deadline)}
    served = node_history(ledger, addressed, limit, deadline)[::-1]
    # Of one that was deregistered the audit rows stay.
    if not served and not kept and not is_there(ledger, addressed, deadline):
        raise Failure(f"the ledger has no Node {addressed}.", ExitCode.DIFFERENT)
    if any(diff):
        _show_step(_step(_named(diff[0], kept), _named(diff[1], kept)), addressed, as_json)
        return
    known = [kept[one.digest] for one in served if one.digest in kept]
    pairs = list(pairwise(one for one in known if one.packed is not None))
    if last:
        if not pairs:
            raise Failure(
                "fewer than two bodies of this Node are kept: the service keeps them where "
                "PLEXSPHERE_HISTORY is over 1."
            )
        _show_step(_step(*pairs[-1]), addressed, as_json)
        return
    steps = [_step(*pair) for pair in pairs]
    if as_json:
        rows = [_row(one, kept.get(one.digest)) for one in served]
        changes = [step.to_json() for step in steps]
        write_json({"node_id": addressed, "served": rows, "changes": changes})
    else:
        _show(addressed, served, kept, steps)


def _named(text: str, kept: Mapping[str, KeptBody]) -> KeptBody:
    """The kept body whose digest begins so; an ETag is understood too."""
    wanted = text.removeprefix("W/").strip('"').lower()
    found = [one for digest, one in kept.items() if wanted and digest.startswith(wanted)]
    if not found:
        raise Failure(f"no body is kept of a digest that begins with {text!r}.")
    if len(found) > 1:
        raise Failure(f"{len(found)} digests begin with {text!r}: give more of it.", ExitCode.USAGE)
    return found[0]


def _step(before: KeptBody, after: KeptBody) -> Step:
    from server.cli.differences import differences

    return Step(before.digest, after.digest, differences(_snapshot(before), _snapshot(after)))


def _snapshot(kept: KeptBody) -> dict[str, Any]:
    from server.cli.bodies import parse_snapshot

    if kept.packed is None:
        raise Failure(f"the body of {kept.digest} was too large to be kept: {kept.size:,} bytes.")
    try:
        return parse_snapshot(kept.unpacked())
    except ValueError as error:
        raise Failure(f"what is kept of {kept.digest} {error}.") from error


def _show_step(step: Step, addressed: str, as_json: bool) -> None:
    if as_json:
        write_json({"node_id": addressed, **step.to_json()})
    else:
        Screen().print_all((line("Node", addressed), *step.parts()))
    if not step.difference.same:
        raise typer.Exit(ExitCode.DIFFERENT)


def _show(
    addressed: str, served: Sequence[Served], kept: Mapping[str, KeptBody], steps: Sequence[Step]
) -> None:
    screen = Screen()
    screen.print(line("Node", f"{addressed}  {counted(len(served), 'digest')}"))
    if not served:
        return
    names = ("first granted", "last granted", "grants", "body", "digest")
    shown = [
        (
            moment(one.first_at),
            moment(one.last_at),
            f"{one.grants:,}",
            _in_words(kept.get(one.digest)),
            one.digest,
        )
        for one in served
    ]
    screen.print(table("", names, shown))
    if not kept:
        screen.print(plain("no body is kept: PLEXSPHERE_HISTORY is what keeps them", "dim"))
    for step in steps:
        typer.echo()
        screen.print_all(step.parts())


def _in_words(kept: KeptBody | None) -> str:
    if kept is None:
        return "-"
    return "too large" if kept.packed is None else "kept"


def _row(served: Served, kept: KeptBody | None) -> dict[str, object]:
    return {
        "digest": served.digest,
        "first_at": served.first_at.isoformat(),
        "last_at": served.last_at.isoformat(),
        "grants": served.grants,
        "kept": kept is not None and kept.packed is not None,
        "bytes": kept and kept.size,
    }
