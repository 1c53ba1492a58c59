"""The commands that look at the service itself: ``receipt`` and ``doctor``."""

from __future__ import annotations

from dataclasses import asdict

import typer

from server.cli.failures import ExitCode
from server.cli.options import AsJson
from server.cli.screens import Screen, plain, write_json


def receipt(as_json: AsJson = False) -> None:
    """Print the wiring receipt: which port stands on which adapter, which operation is live.

    Wires the service as a start would, from the settings of this shell, and asks nothing of
    Postgres or SpiceDB. Exit code 1 when the pull is not live.
    """
    from server.settings import read_settings
    from server.wiring import wire

    service = wire(read_settings())
    found = service.receipt
    service.close()
    if as_json:
        complete, missing = found.complete, list(found.missing)
        ports, operations = dict(found.ports), dict(found.operations)
        shown = {"complete": complete, "missing": missing, "ports": ports, "operations": operations}
        moved = {"test_clock": found.test_clock} if found.test_clock else {}
        write_json(shown | moved)
    else:
        typer.echo("\n".join(found.lines()))
    if not found.complete:
        raise typer.Exit(ExitCode.DIFFERENT)


def doctor(as_json: AsJson = False) -> None:
    """Check settings, Postgres, its schema and clock, SpiceDB and its schema, and the JWKS; that a
    relay and an evaluator keep up with the ledger.

    Every line says ok or bad, and how to mend what is bad. Exit code 1 when anything is.
    """
    from server.cli.checks import all_checks

    checks = []
    out = Screen()
    for check in all_checks():
        checks.append(check)
        if not as_json:
            word = plain("ok " if check.ok else "bad", "green" if check.ok else "bold red")
            out.print(word.append_text(plain(f"  {check.name:<14}  {check.detail}", "default")))
            if check.mend:
                out.print(plain(f"{'':<21}to mend it: {check.mend}", "yellow"))
    ok = all(check.ok for check in checks)
    if as_json:
        write_json({"ok": ok, "checks": [asdict(check) for check in checks]})
    if not ok:
        raise typer.Exit(ExitCode.DIFFERENT)
