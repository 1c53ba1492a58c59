"""``doctor`` and ``receipt``: each fault with its remedy."""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import islice
from pathlib import Path
from unittest.mock import Mock
from uuid import UUID

import pytest

from db.errors import NO_CONNECTION_LEFT
from db.events import EventLag
from db.health import LastComparison
from db.outbox import OutboxLag
from handlers.ports import LedgerPorts, OptionalPorts
from server.authz.admin import SpiceDbAdmin, schema_text
from server.cli.capacity import unusable_postgres
from server.cli.contact import side_by_side
from server.cli.diagnosis import (
    MAX_SKEW_SECONDS,
    all_checks,
    blank_check,
    clock_check,
    evaluator_check,
    events_check,
    keys_check,
    ledger_checks,
    ledger_version,
    outbox_check,
    relationships_check,
    schema_check,
    service_check,
    spicedb_checks,
    spicedb_schema,
    spicedb_schema_check,
)
from server.receipt import LOAD_BEARING, wiring_receipt
from server.settings import Settings, SettingsError
from tests.command_runs import NODE, run
from tests.ports.wired import fake_ports
from tests.tokens import ed25519_key, write_jwks
from tests.unit.test_cli_service import service

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("found", "ok", "remedy"),
    [
        (4, True, ""),
        (0, False, "run `plexsphere-state migrate`"),
        (5, False, "run the release that migrated it"),
    ],
)
def test_the_schema_version_must_be_that_of_this_release(found: int, ok: bool, remedy: str) -> None:
    check = schema_check(found, expected=4)
    assert (check.ok, check.remedy) == (ok, remedy)


def test_a_blank_database_of_another_encoding_cannot_be_migrated() -> None:
    assert "plexsphere-state migrate" in blank_check("UTF8").remedy
    latin = blank_check("LATIN1")
    assert "encoding is LATIN1" in latin.detail and "ENCODING 'UTF8'" in latin.remedy


@pytest.mark.parametrize(
    ("ahead", "ok", "sentence"),
    [
        (0.0004, True, "0.000 s ahead of"),
        (-MAX_SKEW_SECONDS, True, "5.000 s behind"),
        (5.1, False, "5.100 s ahead of this machine"),
        (-3600.0, False, "3600.000 s behind this machine, more than PLEXSPHERE_JWT_LEEWAY (30 s)"),
    ],
)
def test_clocks_may_differ_a_little(ahead: float, ok: bool, sentence: str) -> None:
    check = clock_check(ahead, leeway=30.0)
    assert (check.ok, sentence in check.detail) == (ok, True)
    assert bool(check.remedy) is not ok


def test_every_bad_setting_is_a_line() -> None:
    def read() -> Settings:
        raise SettingsError(["PLEXSPHERE_A is bad", "PLEXSPHERE_B is bad"])

    assert [check.detail for check in all_checks(read)] == [
        "PLEXSPHERE_A is bad",
        "PLEXSPHERE_B is bad",
    ]


def test_a_missing_setting_leads_to_the_file_of_init() -> None:
    def read() -> Settings:
        raise SettingsError(["PLEXSPHERE_A is not set", "PLEXSPHERE_B is bad"])

    missing, bad = (check.remedy for check in all_checks(read))
    assert "plexsphere-state init" in missing and "init" not in bad


def test_without_a_dsn_doctor_names_the_setting() -> None:
    (check,) = all_checks(Settings)
    assert not check.ok and "501" in check.detail and "PLEXSPHERE_DSN" in check.remedy


def test_the_reason_for_unverified_postgres_is_shown() -> None:
    settings = Settings(dsn="postgresql://x@db.invalid/x", unverified_postgres="WireGuard")
    _, check = islice(all_checks(lambda: settings), 2)
    assert check.ok and check.detail.endswith("without verified TLS: WireGuard")


def test_an_unreachable_postgres_is_one_bad_line() -> None:
    away = Settings(dsn=f"postgresql://x@{NOWHERE}/x")
    (check,) = ledger_checks(away, side_by_side({"": lambda: ledger_version(away)}, 60.0)[""])
    assert not check.ok
    assert "Connection refused" in check.detail


def test_an_unreachable_spicedb_is_one_bad_line() -> None:
    away = Settings(spicedb_endpoint=NOWHERE, spicedb_token="key", spicedb_insecure=True)
    (check,) = spicedb_checks(away, side_by_side({"": lambda: spicedb_schema(away)}, 60.0)[""])
    assert not check.ok and "PLEXSPHERE_SPICEDB_ENDPOINT" in check.remedy


def test_where_no_connection_is_left_doctor_says_how_many_an_instance_needs() -> None:
    needed = unusable_postgres(Settings(workers=2, connections=1_000), NO_CONNECTION_LEFT).remedy
    assert str(2 * Settings(connections=1_000).shared_threads.connections + 8) in needed
    assert "PLEXSPHERE_DSN" in unusable_postgres(Settings(), "it is starting").remedy


def test_a_spicedb_that_knows_none_of_the_ledgers_nodes_is_bad() -> None:
    nodes = [UUID(NODE)]
    admin = Mock(SpiceDbAdmin)
    admin.knows_any.side_effect = lambda asked, deadline: asked != nodes
    assert spicedb_schema_check(schema_text(), admin, []).ok
    emptied = spicedb_schema_check(schema_text(), admin, nodes)
    assert not emptied.ok and "authz repair" in emptied.remedy


def test_a_jwks_without_a_usable_key_is_bad(tmp_path: Path) -> None:
    good = write_jwks(tmp_path / "jwks.json", ed25519_key())
    assert keys_check(Settings(jwks=str(good))).ok
    missing = keys_check(Settings(jwks=str(tmp_path / "none")))
    assert not missing.ok and "PLEXSPHERE_JWKS" in missing.remedy


def readiness(**statuses: str) -> bytes:
    checks = [{"name": name, "status": status} for name, status in statuses.items()]
    return json.dumps({"status": "", "checks": checks}).encode()


@pytest.mark.parametrize(
    ("status", "body", "ok", "detail"),
    [
        (200, readiness(postgres="ok"), True, " is ready"),
        (200, readiness(postgres="ok", nats="degraded"), True, " is ready; nats is degraded"),
        (503, readiness(postgres="down", jwks="ok"), False, " is not ready: postgres is down"),
        (403, b"<html>", False, " answers /readyz as no service of ours"),
    ],
)
def test_the_running_service_is_asked(status: int, body: bytes, ok: bool, detail: str) -> None:
    with service(status, body, "application/json") as url:
        address = url.removeprefix("http://")
        check = service_check(Settings(bind=f"0.0.0.0:{address.rpartition(':')[2]}"), "")
        assert check == service_check(Settings(bind=NOWHERE), url)
    assert (check.ok, bool(check.remedy)) == (ok, not ok)
    assert check.detail == url + detail


def test_a_service_that_does_not_answer_is_bad() -> None:
    check = service_check(Settings(bind=NOWHERE), "")
    assert (check.ok, "plexsphere-state serve" in check.remedy) == (False, True)
    assert check.detail.startswith(f"nothing answers at http://{NOWHERE} (")


def test_doctor_exits_with_1_when_anything_is_bad() -> None:
    for_people, for_scripts = run("doctor"), run("doctor", "--json")
    assert (for_people.exit_code, for_scripts.exit_code) == (1, 1)
    assert for_people.stdout.startswith("bad  settings")
    assert "remedy: set PLEXSPHERE_DSN" in for_people.stdout
    assert json.loads(for_scripts.stdout)["ok"] is False


def test_the_receipt_has_every_port() -> None:
    names = {port.name for port in (*fields(LedgerPorts), *fields(OptionalPorts))}
    receipt = wiring_receipt(fake_ports(), {}, audit=None, history=None, test_clock="")
    # With the history of bodies, without the rooms of the ports themselves.
    assert len(receipt.ports) == len(names - {"wire", "optional"}) + 1


def test_the_receipt_of_a_service_without_ports() -> None:
    for_people, for_scripts = run("receipt"), run("receipt", "--json")
    assert (for_people.exit_code, for_scripts.exit_code) == (1, 1)
    assert for_people.stdout.startswith("wiring receipt: incomplete: ")
    found = json.loads(for_scripts.stdout)
    assert (found["complete"], found["missing"]) == (False, list(LOAD_BEARING))
    assert found["operations"]["GetNodeState"] == "refused"


@pytest.mark.parametrize(
    ("lag", "remedy"),
    [
        (OutboxLag(0, 0.0, 0), ""),
        (OutboxLag(3, 0.2, 0), ""),
        (OutboxLag(3, 60.0, 0), "start `plexsphere-state relay`"),
        (OutboxLag(0, 0.0, 1), "authz repair"),
    ],
)
def test_late_or_parked_rows_of_the_outbox_are_bad(lag: OutboxLag, remedy: str) -> None:
    check = outbox_check(lag)
    assert (check.ok, remedy in check.remedy) == (not remedy, True)


def test_late_events_are_bad() -> None:
    assert events_check(EventLag(0, 0.0, 0)).ok and events_check(EventLag(3, 0.2, 7)).ok
    late = events_check(EventLag(3, 60.0, 7))
    assert not late.ok and "start `plexsphere-state relay`" in late.remedy


@pytest.mark.parametrize(
    ("swept", "ok", "sentence"),
    [
        (4.9, True, "4.9 s ago"),
        (20.5, False, "20.5 s ago"),
        (None, False, "no evaluator has ever swept"),
    ],
)
def test_a_late_or_missing_sweep_is_bad(swept: float | None, ok: bool, sentence: str) -> None:
    check = evaluator_check(swept)
    assert (check.ok, sentence in check.detail) == (ok, True)
    assert ("plexsphere-state evaluator" in check.remedy) is not ok


@pytest.mark.parametrize(
    ("comparison", "ok"),
    [
        (LastComparison(None, 0, 0), True),
        (LastComparison(9, 0, 3), True),
        (LastComparison(9, 1, 4), False),
    ],
)
def test_a_difference_from_the_ledger_is_bad(comparison: LastComparison, ok: bool) -> None:
    check = relationships_check(comparison)
    assert (check.ok, "authz verify" in check.remedy) == (ok, not ok)
