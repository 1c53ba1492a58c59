"""Commands of ``plexsphere-state`` that run in the process of the test."""

from __future__ import annotations

import os

from typer.testing import CliRunner, Result

import server.cli
from server.cli.failures import ExitCode

NODE = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"


def run(*arguments: str, stdin: bytes | None = None, **environment: str) -> Result:
    """A command of ``plexsphere-state``, with these settings and no others of the environment."""
    unset = {name: None for name in os.environ if name.startswith("PLEXSPHERE_")}
    return CliRunner().invoke(
        server.cli.build_app(), list(arguments), input=stdin, env={**unset, **environment}
    )


def failed(result: Result, code: ExitCode) -> str:
    """The sentence of a failure, whose form is checked."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr
