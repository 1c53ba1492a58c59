"""``plexsphere-state doctor``: everything that a pull needs, checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from server.cli.failures import ExitCode
from server.cli.options import AsJson, Url
from server.cli.screen import Screen, plain, write_json

if TYPE_CHECKING:
    from server.cli.check import Check

EXAMPLE = "plexsphere-state doctor"


def doctor(url: Url = "", as_json: AsJson = False) -> None:
    """Check settings, Postgres, its schema and clock, SpiceDB and its schema, and the JWKS; and
    that a relay and an evaluator keep up with the ledger. Then what the service needs: connections
    that Postgres grants, no pooler in transaction mode, descriptors, and no two Nodes of a Domain
    with one address or key. At last the running service: /readyz of URL, or of PLEXSPHERE_BIND.

    Every line says ok or bad, and a bad line is followed by its remedy. Exit code 1 when a line is
    bad.
    """
    from server.cli.diagnosis import all_checks

    checks = []
    screen = Screen()
    for check in all_checks(service_url=url):
        checks.append(check)
        if not as_json:
            _show(check, screen)
    ok = all(check.ok for check in checks)
    if as_json:
        write_json({"ok": ok, "checks": [asdict(check) for check in checks]})
    if not ok:
        raise typer.Exit(ExitCode.DIFFERENT)


def _show(check: Check, screen: Screen) -> None:
    result = plain("ok " if check.ok else "bad", "green" if check.ok else "bold red")
    screen.print(result.append_text(plain(f"  {check.name:<14}  {check.detail}", "default")))
    if check.remedy:
        screen.print(plain(f"{'':<21}remedy: {check.remedy}", "yellow"))
