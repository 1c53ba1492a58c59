"""How the formatter and isort lay code out."""

from __future__ import annotations

import json
from collections.abc import Sequence

WIDTH = 100


def imported(module: str, names: Sequence[str]) -> str:
    """An import as isort orders it: constants, classes, functions."""
    if not names:
        return ""
    ordered = sorted(names, key=lambda one: (not one.isupper(), one[0].islower(), one))
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


def literal(text: str) -> str:
    """A string as the formatter would quote it; a long one is its author's to write."""
    if len(text) > WIDTH // 2:
        return '"..."'
    return repr(text) if '"' in text else json.dumps(text, ensure_ascii=False)
