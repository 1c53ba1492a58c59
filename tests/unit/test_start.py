"""The checks before a start."""

from __future__ import annotations

import sys

import pytest

from server.settings import COMMAND_VARIABLES, declared_settings, unknown_variables
from server.start import log_unknown_variables, start_complaints


def test_every_complaint_about_the_environment_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLEXSPHERE_THREADS", "many")
    monkeypatch.setenv("PLEXSPHERE_LOG_LEVEL", "loud")
    names = [line.split()[0] for line in start_complaints()]
    assert names == ["PLEXSPHERE_LOG_LEVEL", "PLEXSPHERE_THREADS"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PLEXSPHERE_POOLSIZE", ": is PLEXSPHERE_POOL_SIZE meant?"),
        ("PLEXSPHERE_HELD_PEERS", ": is PLEXSPHERE_CACHED_PEERS meant?"),
        ("PLEXSPHERE_BILLING_ACCOUNT", ""),
    ],
)
def test_a_variable_that_nothing_reads_is_named(name: str, hint: str) -> None:
    environ = {name: "5", "HOME": "/", "PLEXSPHERE_POOL_SIZE": "5"}
    assert unknown_variables(environ) == [f"{name} is no setting of this release{hint}"]


def test_no_variable_of_this_release_is_unknown() -> None:
    assert unknown_variables(dict.fromkeys([*declared_settings(), *COMMAND_VARIABLES], "")) == []


def test_the_log_names_an_unknown_variable_and_never_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLEXSPHERE_SIGNINGKEY", "secret")
    log_unknown_variables()
    (line,) = [line for line in caplog.records if line.message == "setting_unknown"]
    assert "PLEXSPHERE_SIGNINGKEY" in line.reason and "secret" not in str(line.__dict__)


def test_a_start_does_not_import_a_library_that_only_connexion_would_use() -> None:
    assert "connexion" in sys.modules
    assert not any(name.startswith("aiohttp.") for name in sys.modules)
