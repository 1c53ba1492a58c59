"""A command that fails ends with a sentence and an exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
import typer

import server.cli
from composer.errors import AuthzUnavailable, ComposerError, DatastoreUnavailable
from server.cli.failures import ExitCode, Failure, failure_of, innermost
from server.settings import Settings, SettingsError
from tests.command_runs import NODE, failed, run


@pytest.mark.parametrize(
    "command",
    [("migrate",), ("audit",), ("snapshot", NODE, "--explain")],
    ids=lambda command: command[0],
)
def test_a_missing_malformed_unverified_or_unreachable_dsn_is_a_failure(
    command: tuple[str, ...],
) -> None:
    assert "PLEXSPHERE_DSN is not set" in failed(run(*command), ExitCode.USAGE)
    malformed = failed(run(*command, PLEXSPHERE_DSN="secret"), ExitCode.USAGE)
    assert "PLEXSPHERE_DSN is malformed" in malformed and "secret" not in malformed
    elsewhere = run(*command, PLEXSPHERE_DSN="postgresql://ada:secret@db.invalid/x")
    assert "sslmode=verify-full" in failed(elsewhere, ExitCode.USAGE)
    away = "postgresql://ada:secret@127.0.0.1:1/x"
    refused = failed(run(*command, PLEXSPHERE_DSN=away), ExitCode.REFUSED)
    assert "Connection refused" in refused and "secret" not in refused


@pytest.mark.parametrize("arguments", [["--version"], ["events", "kek"], ["settings"]], ids=str)
def test_an_output_that_cannot_be_written_is_a_failure(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["plexsphere-state", *arguments])
    with open("/dev/full", "w") as full, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as end:
            server.cli.main()
    assert end.value.code in (ExitCode.USAGE, ExitCode.REFUSED)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and line.endswith("No space left on device.")


def test_a_service_without_a_current_folder_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("server.start.start_complaints", list)
    monkeypatch.setattr("server.settings.read_settings", Settings)
    monkeypatch.setattr("os.getcwd", gone)
    result = run("serve")
    assert (result.exit_code, "the current folder is gone" in result.stderr) == (
        ExitCode.USAGE,
        True,
    )


def test_standard_streams_that_are_closed_lead_nowhere() -> None:
    script = (
        "import os; [os.close(n) for n in (0, 1)]; from server.cli import serve as s;"
        "s.open_standard_streams(); os.execv('/bin/sh', ['sh', '-c', 'echo x && read y || exit 7'])"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 7


@pytest.mark.parametrize("subject", ["ada", "node:ada", "robot:x", "user:", "node:" + NODE.upper()])
def test_a_malformed_subject_is_refused(subject: str) -> None:
    assert "SUBJECT must be node:<uuid>" in failed(run("token", subject), ExitCode.USAGE)


def test_a_malformed_signing_key_is_refused(tmp_path: Path) -> None:
    assert "PLEXSPHERE_SIGNING_KEY is not set" in failed(run("token", "user:ada"), ExitCode.USAGE)
    nonsense = tmp_path / "key"
    nonsense.write_text("{}")
    result = run("token", "user:ada", PLEXSPHERE_SIGNING_KEY=str(nonsense))
    assert "is no private JWK" in failed(result, ExitCode.USAGE)
    quoted = run("token", "user:ada", PLEXSPHERE_SIGNING_KEY="""'{"d":"secret"}'""")
    assert "secret" not in failed(quoted, ExitCode.USAGE)


def test_all_bad_settings_are_named_at_once() -> None:
    result = run("receipt", PLEXSPHERE_DSN="x", PLEXSPHERE_WORKERS="many")
    assert result.exit_code == ExitCode.USAGE
    for name in ("DSN", "WORKERS", "SPICEDB_ENDPOINT", "JWKS", "JWT_ISSUER", "JWT_AUDIENCE"):
        assert f"error: PLEXSPHERE_{name} " in result.stderr


def test_debug_shows_the_trace_of_an_error_that_is_not_of_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def command(prog_name: str) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(server.cli, "build_app", lambda: command)
    with pytest.raises(ConnectionError, match="no answer"):
        server.cli.main()


def test_errors_of_other_rooms_become_sentences() -> None:
    try:
        raise DatastoreUnavailable("migrating: OperationalError") from OSError("no\n\troute")
    except DatastoreUnavailable as error:
        away = failure_of(error)
    assert "(no route): check PLEXSPHERE_DSN" in away.sentence
    assert "SpiceDB cannot be used (gone)" in failure_of(AuthzUnavailable("gone")).sentence
    assert failure_of(ComposerError("x")).code == ExitCode.REFUSED
    assert "of the ledger's owner" not in failure_of(ComposerError("x")).sentence
    assert failure_of(SettingsError(["a", "b"])).sentence == "a\nb"
    assert failure_of(PermissionError(13, "Permission denied", "/x")).code == ExitCode.USAGE
    assert "--debug" in failure_of(KeyError("x")).sentence
    own = Failure("so", ExitCode.DIFFERENT)
    assert failure_of(own) is own


class Denied(psycopg2.ProgrammingError):
    """As where the role has no right to do it."""

    pgcode = "42501"


def test_missing_rights_lead_to_the_dsn_of_the_owner() -> None:
    try:
        raise ComposerError("migrating") from Denied("permission denied for schema plexsphere")
    except ComposerError as error:
        sentence = failure_of(error).sentence
    assert sentence == (
        "the ledger refused (permission denied for schema plexsphere): "
        "use the DSN of the ledger's owner."
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            'unrecognized configuration parameter "hunt"',
            "a parameter of the DSN's options",
        ),
        (
            'invalid value for parameter "hunt": "er2"',
            "refuses a parameter of the DSN's options",
        ),
        (
            'definition of service "hunt" not found',
            "names a service that is defined nowhere",
        ),
    ],
)
def test_words_of_the_driver_about_the_dsn_are_not_shown(words: str, reason: str) -> None:
    shown = innermost(psycopg2.OperationalError(words))
    assert reason in shown and "hunt" not in shown


def test_every_command_has_an_example_in_its_help() -> None:
    app = typer.main.get_command(server.cli.build_app())
    commands = [
        f"{name} {sub}".strip()
        for name, made in app.commands.items()
        for sub in getattr(made, "commands", ("",))
    ]
    assert sorted([*commands, "audit"]) == sorted(
        [
            "dev",
            "serve",
            "migrate",
            "evaluator",
            "token",
            "top",
            "keygen",
            "snapshot",
            "diff",
            "receipt",
            "audit",
            "audit prune",
            "backup",
            "restore",
            "outbox prune",
            "events kek",
            "events lag",
            "events re-encrypt",
            "events rotate-key",
            "events show",
            "relay",
            "grant",
            "init",
            "revoke",
            "credentials rotate",
            "credentials revoke",
            "enrol token",
            "enrol files",
            "authz schema",
            "authz verify",
            "authz repair",
            "fleet simulate",
            "fleet history",
            "fleet status",
            "doctor",
            "accept-ledger",
            "settings",
        ]
    )
    for command in [*commands, "audit"]:
        result = run(*command.split(), "--help", COLUMNS="200")
        assert result.exit_code == 0
        assert "Example:" in result.output
        assert f"plexsphere-state {command}" in result.output.partition("Example:")[2]


def test_a_command_starts_without_importing_the_others() -> None:
    program = (
        "import sys, server.cli\n"
        "sys.argv = ['plexsphere-state', 'fleet', 'status', '--help']\n"
        "try: server.cli.main()\n"
        "finally: print(sorted(name for name in sys.modules if name.startswith('server.cli.')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "'server.cli.fleet.status'" in found
    for module in ("dev", "snapshot", "audit", "authz", "fleet.simulate", "roles"):
        assert f"'server.cli.{module}'" not in found


def test_the_exit_codes_are_documented() -> None:
    assert "Exit codes: 0 success" in " ".join(run("--help", COLUMNS="200").output.split())


def test_unknown_options_are_a_usage_error() -> None:
    assert run("snapshot", NODE, "--nonsense").exit_code == ExitCode.USAGE


def test_without_the_embedded_parts_dev_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.cli.dev.find_spec", lambda name: None)
    assert "make run" in failed(run("dev"), ExitCode.USAGE)


@pytest.mark.parametrize("values", [["n-1", "--follow"], ["--follow", "n-1"], ["show", "n-1"]])
def test_the_events_of_a_node_need_no_subcommand(values: list[str]) -> None:
    result = run("events", *values)
    assert (result.exit_code, "n-1" in result.output) == (2, True)


def test_the_group_of_events_has_a_help_of_its_own() -> None:
    for result in ([], ["--help"]):
        assert "rotate-key" in run("events", *result).output
