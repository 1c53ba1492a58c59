"""Commands with an example of their own, alone and in groups, each made when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

Command = Callable[..., None]
Example = tuple[Command, str]
Made = TyperCommand | TyperGroup


class Late(Mapping[str, Made]):
    """Commands by name, each made, and its module imported, when it is looked up: all of them
    together would take half of the time that a command takes to start."""

    def __init__(self, names: Sequence[str], make: Callable[[str], Made]) -> None:
        self._names = names
        self._make = make
        self._made: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._make(name)
            self._made[name].name = name
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def late_group(base: type[TyperGroup], commands: Late) -> type[TyperGroup]:
    """A kind of ``base`` that has these commands: for ``typer.Typer(cls=...)``."""

    class LateGroup(base):  # type: ignore[misc,valid-type]
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**{**attributes, "commands": commands})

    return LateGroup


def made_command(command: Command, example: str) -> Made:
    """With its example below its help."""
    app = typer.Typer(add_completion=False)
    _add(app, command, example)
    return _made(app)


def made_group(commands: Sequence[Example], words: str, own: Example | None = None) -> Made:
    """Subcommands under one name; ``own`` is what the name does without one of them."""
    app = typer.Typer(
        help=paragraphs(own[0]) if own else words,
        epilog=shown(own[1]) if own else None,
        no_args_is_help=own is None,
        invoke_without_command=own is not None,
        add_completion=False,
    )
    # One subcommand alone stays one only below a callback.
    app.callback()(own[0] if own else lambda: None)
    for command, example in commands:
        _add(app, command, example)
    return _made(app)


def _add(app: typer.Typer, command: Command, example: str) -> None:
    app.command(help=paragraphs(command), epilog=shown(example))(command)


def _made(app: typer.Typer) -> Made:
    found = typer.main.get_command(app)
    assert isinstance(found, TyperCommand | TyperGroup)
    return found


def shown(example: str) -> str:
    """As every help ends."""
    return f"Example:\n\n{example}"


def paragraphs(command: Command) -> str:
    """The docstring with a paragraph a line: the terminal decides where lines end."""
    return "\n\n".join(" ".join(one.split()) for one in (command.__doc__ or "").split("\n\n"))
