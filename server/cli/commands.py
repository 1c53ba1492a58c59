"""The commands, each made from the module of its name at the moment that it is looked up.

A command is a module with a function of the same name, and ``EXAMPLE``; a hyphen is an underscore
there. A group of commands is a package: ``SUBCOMMANDS`` are the names of modules in it. A package
that has a function of its own name too runs it where no subcommand is given; its docstring is then
the help of the group. ``WITHOUT_NAME`` is the subcommand that need not be named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

Made = TyperCommand | TyperGroup


class LazyCommands(Mapping[str, Made]):
    """Commands by name. Looking up a command imports its module and no other command's.

    Importing all of them takes half of the time in which a command starts.
    """

    def __init__(self, package: str, names: Sequence[str]) -> None:
        self._package = package
        self._names = names
        self._made: dict[str, Made] = {}

    def __getitem__(self, name: str) -> Made:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            module = import_module(f"{self._package}.{name.replace('-', '_')}")
            self._made[name] = _make(module, name)
            self._made[name].name = name
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def group_class(base: type[TyperGroup], commands: LazyCommands) -> type[TyperGroup]:
    """A subclass of ``base`` with these commands: for ``typer.Typer(cls=...)``."""

    class LazyGroup(base):  # type: ignore[misc,valid-type]
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**{**attributes, "commands": commands})

    return LazyGroup


def _make(module: ModuleType, name: str) -> Made:
    function: Any = getattr(module, name.replace("-", "_"), None)
    names = getattr(module, "SUBCOMMANDS", None)
    if names is None:
        app = typer.Typer(add_completion=False)
        app.command(help=paragraphs(function), epilog=_epilog(module))(function)
    else:
        app = typer.Typer(
            cls=group_class(_group_base(module), LazyCommands(module.__name__, names)),
            help=paragraphs(function or module),
            epilog=_epilog(module) if function else None,
            no_args_is_help=function is None,
            invoke_without_command=function is not None,
            add_completion=False,
        )
        app.callback()(function or (lambda: None))
    made = typer.main.get_command(app)
    assert isinstance(made, TyperCommand | TyperGroup)
    return made


def _group_base(module: ModuleType) -> type[TyperGroup]:
    default: str = getattr(module, "WITHOUT_NAME", "")
    if not default:
        return TyperGroup

    class DefaultGroup(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            is_named = not args or args[0] in ctx.help_option_names or args[0] in self.commands
            return super().parse_args(ctx, args if is_named else [default, *args])

    return DefaultGroup


def _epilog(module: ModuleType) -> str:
    return f"Example:\n\n{module.EXAMPLE}"


def paragraphs(documented: Callable[..., object] | ModuleType) -> str:
    """The docstring with each paragraph on a line: the terminal decides where lines end."""
    parts = (documented.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts)
