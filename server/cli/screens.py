"""Where commands write: tables for people, exact bytes and JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.cli.text import printable

# Output that goes into a file or a pipe has no edge: cells are neither cut nor folded there.
BOUNDLESS = 100_000


def screen() -> Console:
    """The console on stdout, colours only on a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=BOUNDLESS)


def write_bytes(body: bytes) -> None:
    """Exactly these bytes, no newline added."""
    stream = typer.get_binary_stream("stdout")
    stream.write(body)
    stream.flush()


def write_json(value: object, indent: int | None = 2) -> None:
    """One JSON text; a lone surrogate is written as the escape it came from."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    write_bytes(text.encode("utf-8", "backslashreplace") + b"\n")


def plain(value: object, style: str = "") -> Text:
    """A cell that says exactly ``value``: no markup and no control character is obeyed."""
    return Text(printable(value), style=style)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], folding: int = 1
) -> Table:
    """A table whose identifiers stay in one piece; the last ``folding`` columns take the folds."""
    made = Table(
        title=plain(title, "bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for index, name in enumerate(columns):
        folds = index >= len(columns) - folding
        made.add_column(name, overflow="fold", no_wrap=not folds)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else plain(cell) for cell in row))
    return made


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """Names and values, one pair a line."""
    return table(title, ("field", "value"), list(values.items()))


def line(title: str, rest: object) -> Text:
    """One line with its first words in bold."""
    return Text.assemble((printable(title), "bold"), "  ", printable(rest))
