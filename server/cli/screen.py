"""Output of commands: tables for people, exact bytes and JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.cli.formats import printable

# The width of a pipe: nothing is cut or folded there.
BOUNDLESS = 1_000_000
# rich needs half a millisecond for a cell; larger tables are printed without it (rows).
LARGE = 500
_GAP = "   "
_READABLE = 16  # characters, the least for a column that folds


class Screen:
    """Stdout: a terminal with its width and colours, or a pipe without either."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._piped = not self._console.is_terminal
        self.width = BOUNDLESS if self._piped else self._console.width

    def print(self, part: Text | Table) -> None:
        """Prints lines of text, or a table."""
        if isinstance(part, Text):
            self._print_text(part)
        elif not _has_room(part, self.width):
            for record in _records(part, self._console):
                self._print_text(record, is_plain=part.row_count >= LARGE)
        elif self._piped or (part.row_count >= LARGE and _fits(part, self.width)):
            typer.echo("\n".join(_lines(part)))
        else:
            self._console.print(part)

    def print_all(self, parts: Iterable[Text | Table]) -> None:
        """Prints the parts in order, with an empty line before and after each table."""
        before: Text | Table | None = None
        for part in parts:
            if isinstance(part, Table) or isinstance(before, Table):
                typer.echo()
            self.print(part)
            before = part

    def _print_text(self, text: Text, is_plain: bool = False) -> None:
        if self._piped or is_plain:
            typer.echo(text.plain)
        else:
            self._console.print(text, soft_wrap=True)


def write_bytes(body: bytes) -> None:
    """Write exactly these bytes, without a newline at the end."""
    stream = typer.get_binary_stream("stdout")
    stream.write(body)
    stream.flush()


def write_json(value: object, indent: int | None = 2) -> None:
    """A JSON text; a lone surrogate is written as an escape."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    write_bytes(text.encode("utf-8", "backslashreplace") + b"\n")


def plain(value: object, style: str = "") -> Text:
    """Text that shows exactly ``value``: markup and control characters have no effect."""
    return Text(printable(value), style=style)


def line(title: str, rest: object) -> Text:
    """A line whose title is bold."""
    return Text.assemble((printable(title), "bold"), "  ", printable(rest))


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], folding: int = 1
) -> Table:
    """A table in which only the last ``folding`` columns fold, so that identifiers stay whole.

    A screen without room for it shows a paragraph for each row, with a line for each column.
    """
    made = Table(
        title=plain(title, "bold") if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for index, name in enumerate(columns):
        folds = index >= len(columns) - folding
        made.add_column(plain(name), overflow="fold", no_wrap=not folds)
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else plain(cell) for cell in row))
    return made


def narrowed(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    width: int,
    at_least: int,
    folding: int = 0,
) -> Iterator[Text | Table]:
    """A table with as many of the first columns as have room on ``width`` characters.

    The last ``folding`` columns, which fold, are shown always. Without room for ``at_least`` of the
    others all columns are shown: the screen makes paragraphs of such a table.
    """
    widths = [
        max(cell_len(str(cell)) for cell in cells) for cells in zip(columns, *rows, strict=True)
    ]
    first = len(columns) - folding
    least = [min(size, _READABLE) for size in widths[first:]]
    fitting = (
        count
        for count in range(first, at_least - 1, -1)
        if sum(found := widths[:count] + least) + len(_GAP) * (len(found) - 1) <= width
    )
    hidden = slice(next(fitting, first), first)
    shown = [[*row[: hidden.start], *row[first:]] for row in (columns, *rows)]
    yield table(title, [str(name) for name in shown[0]], shown[1:])
    if left_out := columns[hidden]:
        yield plain(f"A wider terminal shows {', '.join(left_out)} too.", "dim")


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """A table of names and values."""
    return table(title, ("field", "value"), list(values.items()))


def _grid(made: Table) -> list[list[str]]:
    """The columns of a table made by ``table``, headers first, as plain text."""
    return [[str(cell) for cell in (column.header, *column.cells)] for column in made.columns]


def _widths(grid: list[list[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in grid]


def _fits(made: Table, width: int) -> bool:
    widths = _widths(_grid(made))
    return sum(widths) + len(_GAP) * (len(widths) - 1) <= width


def _lines(made: Table) -> Iterator[str]:
    """The table without colours and folds."""
    grid = _grid(made)
    widths = _widths(grid)
    if made.title:
        yield str(made.title)
    for number, row in enumerate(zip(*grid, strict=True)):
        cells = (
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        )
        yield _GAP.join(cells).rstrip()
        if number == 0:
            yield "─" * cell_len(_GAP.join(" " * width for width in widths))


def _has_room(made: Table, width: int) -> bool:
    """Whether identifiers stay whole, and each column that folds can be read."""
    widths = [
        size if column.no_wrap else min(size, _READABLE)
        for column, size in zip(made.columns, _widths(_grid(made)), strict=True)
    ]
    return sum(widths) + len(_GAP) * (len(widths) - 1) <= width


def _records(made: Table, console: Console) -> Iterator[Text]:
    """The title, and a paragraph for each row. Cells that are empty are left out."""
    if isinstance(made.title, Text):
        yield made.title
    names = [str(column.header) for column in made.columns]
    label = max(map(cell_len, names))
    room = max(_READABLE, console.width - label - len(_GAP))
    between = "\n" + " " * (label + len(_GAP))
    for number, row in enumerate(zip(*(column.cells for column in made.columns), strict=True)):
        lines = []
        for name, cell in zip(names, row, strict=True):
            if str(cell):
                folded = Text(between).join(cell.wrap(console, room, overflow="fold"))
                lines.append(Text.assemble((f"{name:<{label}}{_GAP}", "dim"), folded))
        yield Text("\n" if number else "").append_text(Text("\n").join(lines))
