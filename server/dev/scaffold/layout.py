"""How the formatter and isort lay code out."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from textwrap import dedent

WIDTH = 100
FIRST_PARTY = ("composer", "db", "handlers", "server", "tests")
# Name -> the module it is imported from; of a module that is imported itself, its own name.
Imports = Mapping[str, str]


def used(code: str, known: Imports) -> dict[str, str]:
    """Of the known names those that a piece of code reads and does not define."""
    nodes = [*ast.walk(ast.parse(dedent(code)))]
    read = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
    own = {one.name for one in nodes if isinstance(one, (ast.ClassDef, ast.FunctionDef))}
    return {name: known[name] for name in known if name in read - own}


def import_block(imports: Imports) -> str:
    """Every import, a paragraph each for the standard library, for libraries and for ours."""
    modules: dict[str, list[str]] = {}
    for name, module in imports.items():
        modules.setdefault(module, []).append(name)
    ordered = sorted(modules, key=lambda one: (_section(one), modules[one] != [one], one))
    paragraphs = (
        "".join(imported(one, modules[one]) for one in group)
        for _, group in groupby(ordered, _section)
    )
    return "\n".join(paragraphs)


def _section(module: str) -> int:
    top = module.partition(".")[0]
    return 0 if top in sys.stdlib_module_names else 2 if top in FIRST_PARTY else 1


def imported(module: str, names: Iterable[str]) -> str:
    """An import as isort orders it: constants, classes, functions."""
    ordered = sorted(names, key=lambda one: (not one.isupper(), one[0].islower(), one))
    if ordered == [module]:
        return f"import {module}\n"
    line = f"from {module} import {', '.join(ordered)}\n"
    if len(line) <= WIDTH + 1:
        return line
    return f"from {module} import (\n" + "".join(f"    {one},\n" for one in ordered) + ")\n"


def wrapped(head: str, arguments: Sequence[str], tail: str) -> str:
    """A call or a signature on one line, else its arguments on one, else on one each."""
    line = f"{head}{', '.join(arguments)}{tail}"
    if len(line) <= WIDTH:
        return line
    margin = " " * (len(head) - len(head.lstrip()))
    inner = f"{margin}    {', '.join(arguments)}"
    if len(inner) > WIDTH:
        inner = "\n".join(f"{margin}    {one}," for one in arguments)
    return f"{head}\n{inner}\n{margin}{tail}"


def exploded(head: str, items: Sequence[str], tail: str) -> str:
    """A mapping or a list on one line, else an item a line."""
    line = f"{head}{', '.join(items)}{tail}"
    if len(line) <= WIDTH:
        return line
    margin = " " * (len(head) - len(head.lstrip()))
    inner = "".join(f"{margin}    {one},\n" for one in items)
    return f"{head}\n{inner}{margin}{tail}"


def literal(text: str) -> str:
    """A string as the formatter would quote it."""
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def value(given: object) -> str:
    """A value of the contract in Python; a long text is its author's to write."""
    if isinstance(given, str):
        return literal(given) if len(given) <= WIDTH // 2 else '"..."'
    if isinstance(given, list):
        return f"[{', '.join(map(value, given))}]"
    return repr(given)
