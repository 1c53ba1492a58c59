"""``grant``, ``revoke``, ``relay --once`` and ``authz`` with the settings of a stack."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from server.cli import build_app
from server.dev.stack import Stack


def command(stack: Stack, *arguments: str, **env: str) -> Result:
    return CliRunner().invoke(build_app(), list(arguments), env={**stack.env, **env})


def change_role(stack: Stack, word: str, subject: str, relation: str, object: str) -> Result:
    """``word`` is grant or revoke."""
    return command(stack, word, subject, relation, object)


def relay_once(stack: Stack) -> Result:
    return command(stack, "relay", "--once")
