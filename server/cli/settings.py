"""``plexsphere-state settings``: every setting, as a table or as the page docs/settings.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

EXAMPLE = "plexsphere-state settings"
HEAD = """\
# Settings

The service and its commands read these variables. This page is made by `make settings` from
`server/settings_of_*.py`, where each setting is declared once; a test holds the two equal. A blank
variable counts as unset. A number is plain digits. A malformed setting refuses the start, with all
other complaints at once. Postgres, SpiceDB or a JWKS URL that is merely unreachable does not.

| setting | default | unit | bound | what it is | at the limit, or otherwise |
|---|---|---|---|---|---|
"""
TAIL = """
With these defaults a worker opens at most {connections} connections to Postgres, and an instance
{workers} times as many; `plexsphere-state doctor` compares your numbers with what Postgres grants.

People and the command line have further variables, which are no settings of the service. `make run`
writes them to `.dev/env`; some take the place of options, and the `--help` of each command names
its own.

| variable | what it is |
|---|---|
"""
Markdown = Annotated[
    bool, typer.Option("--markdown", help="The page docs/settings.md instead of a table.")
]


def settings(markdown: Markdown = False) -> None:
    """List every setting of the service: default, unit, bound, and what happens at the limit.

    The values of this shell are not read and not shown.
    """
    from server.cli.screen import Screen, table

    if markdown:
        typer.echo(page(), nl=False)
        return
    columns = ("setting", "default", "unit", "bound", "what it is", "at the limit, or otherwise")
    Screen().print(table("", columns, list(map(_plain_row, _rows())), folding=2))


def page() -> str:
    """The text of docs/settings.md."""
    from server.settings import COMMAND_VARIABLES, Settings

    defaults = Settings()
    connections = defaults.shared_threads.connections
    tail = TAIL.format(connections=connections, workers=defaults.workers)
    variables = [(f"`{name}`", meaning) for name, meaning in COMMAND_VARIABLES.items()]
    return HEAD + _markdown(_rows()) + tail + _markdown(variables)


def _markdown(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows() -> list[tuple[str, ...]]:
    from server.settings import declared_settings

    return [
        (
            f"`{name}`",
            _shown(default),
            setting.unit,
            setting.bound,
            setting.meaning,
            setting.at_limit,
        )
        for name, (setting, default) in declared_settings().items()
    ]


def _shown(default: Any) -> str:
    """The value as a person writes it into the environment."""
    if default in ("", ()):
        return "empty"
    if isinstance(default, float):
        return f"`{default:.8g}`"
    return f"`{int(default)}`" if isinstance(default, bool) else f"`{default}`"


def _plain_row(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell.replace("`", "") for cell in row)
