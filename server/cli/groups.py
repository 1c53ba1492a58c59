"""Commands with an example of their own, alone and in groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

Command = Callable[..., None]
Example = tuple[Command, str]


def add_commands(app: typer.Typer, commands: Sequence[Example]) -> None:
    """Every command, with its example below its help."""
    for command, example in commands:
        app.command(help=paragraphs(command), epilog=shown(example))(command)


def build_group(commands: Sequence[Example], words: str, own: Example | None = None) -> typer.Typer:
    """Subcommands under one name; ``own`` is what the name does without one of them."""
    app = typer.Typer(
        help=paragraphs(own[0]) if own else words,
        epilog=shown(own[1]) if own else None,
        no_args_is_help=own is None,
        invoke_without_command=own is not None,
    )
    # One subcommand alone stays one only below a callback.
    app.callback()(own[0] if own else lambda: None)
    add_commands(app, commands)
    return app


def shown(example: str) -> str:
    """As every help ends."""
    return f"Example:\n\n{example}"


def paragraphs(command: Command) -> str:
    """The docstring with a paragraph a line: the terminal decides where lines end."""
    return "\n\n".join(" ".join(one.split()) for one in (command.__doc__ or "").split("\n\n"))
