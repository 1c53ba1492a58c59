"""The end of a command that fails: a sentence on stderr, and an exit code."""

from __future__ import annotations

import errno
from enum import IntEnum
from typing import Any

import typer
from typer.core import TyperGroup

from composer.errors import (
    AuthzUnavailable,
    ComposerError,
    DatastoreUnavailable,
    LedgerBehind,
)
from server.cli.formats import printable


class ExitCode(IntEnum):
    """The exit codes of the commands, for scripts; ``--help`` lists them."""

    OK = 0
    DIFFERENT = 1
    USAGE = 2
    REFUSED = 3


class Failure(Exception):
    """Ends the command. The sentence says what is wrong, and what the operator can do."""

    def __init__(self, sentence: str, code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


class PlainFailures(TyperGroup):
    """The one place where an error of any command becomes a sentence, never a stack trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise  # typer prints these itself, usage errors among them
        except Exception as error:
            if _is_broken_pipe(error) or ctx.params.get("debug"):
                raise
            failure = failure_of(error)
            for line in failure.sentence.splitlines():
                typer.echo(f"error: {printable(line)}", err=True)
            raise typer.Exit(failure.code) from error


def failure_of(error: Exception) -> Failure:
    """Any error as a Failure; an error that is not expected is called a fault of the command."""
    from db.errors import is_right_missing  # late, because these import the drivers
    from server.settings import SettingsError

    if isinstance(error, Failure):
        return error
    if isinstance(error, SettingsError):
        return Failure("\n".join(error.complaints), ExitCode.USAGE)
    if isinstance(error, DatastoreUnavailable):
        return Failure(
            f"Postgres cannot be used ({innermost(error)}): check PLEXSPHERE_DSN, and that it runs."
        )
    if isinstance(error, LedgerBehind):
        return Failure(
            f"Postgres has less than this host has served ({error}): let PLEXSPHERE_DSN lead to "
            "the ledger; after a restore on purpose run `plexsphere-state accept-ledger`."
        )
    if isinstance(error, AuthzUnavailable):
        return Failure(
            f"SpiceDB cannot be used ({error}): "
            "check PLEXSPHERE_SPICEDB_ENDPOINT, and that it runs."
        )
    if isinstance(error, ComposerError):
        way = ": use the DSN of the ledger's owner" if is_right_missing(error.__cause__) else ""
        return Failure(f"the ledger refused ({innermost(error)}){way}.")
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return Failure(f"{error.strerror}{where}.", ExitCode.USAGE)
    return Failure(
        f"this is a fault of the command itself ({type(error).__name__}: {error}): "
        "run it again as `plexsphere-state --debug ...` and report what that prints."
    )


def innermost(error: BaseException) -> str:
    """The reason of a refused connection; else the driver's message on one line.

    The message names hosts and roles, never a password.
    """
    from db.errors import connection_refusal, primary_message

    while error.__cause__ is not None:
        error = error.__cause__
    if reason := connection_refusal(error):
        return reason
    words = primary_message(error) or str(error)
    return " ".join(words.split()) or type(error).__name__


def _is_broken_pipe(error: Exception) -> bool:
    """Whether the reader of our output has ended (``| head``), which is no failure."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE
