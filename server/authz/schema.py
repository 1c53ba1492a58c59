"""``schema.zed``: its text, and what of it a SpiceDB lacks."""

from __future__ import annotations

import re
from importlib.resources import files

_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DEFINITION = re.compile(r"definition\s+([a-z0-9_/]+)\s*\{([^}]*)\}")
_MEMBER = re.compile(r"^\s*(relation|permission)\s+([a-z0-9_]+)\s*[:=]\s*(.+?)\s*$", re.MULTILINE)


def schema_text() -> str:
    """The schema this version of the service is written against."""
    return files("server.authz").joinpath("schema.zed").read_text("utf-8")


def members(text: str) -> frozenset[str]:
    """Every relation and permission as one normalised line, comments, order and spaces aside."""
    return frozenset(
        f"{definition}: {kind} {name} = {' '.join(expression.split())}"
        for definition, body in _DEFINITION.findall(_COMMENTS.sub("", text))
        for kind, name, expression in _MEMBER.findall(body)
    )


def missing_from(text: str) -> list[str]:
    """What ``schema.zed`` has and ``text`` has not, or has otherwise; empty when it will do.

    More definitions than ours are fine: a SpiceDB may serve others too.
    """
    return sorted(members(schema_text()) - members(text))
