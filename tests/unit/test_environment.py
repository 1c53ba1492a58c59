"""The environment of a start: variables of Python, gunicorn, libpq and gRPC, and open files."""

from __future__ import annotations

import os
import resource
import sys

import pytest

from server import isolated
from server.gunicorn.bounds import FEWEST_DESCRIPTORS, descriptors_complaint
from server.settings import PROOFS, forget_options_of_gunicorn, read_settings


def test_a_command_starts_again_without_the_variables_that_mislead_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, command: started.append(command))
    monkeypatch.setattr("server.cli.main", lambda: None)
    monkeypatch.setattr("sys.argv", ["plexsphere-state", "doctor"])
    isolated.main()
    assert started == []
    for name in isolated.MISLEADING:
        monkeypatch.setenv(name, "error")
        isolated.main()
        assert (started.pop(), name in os.environ) == (
            [sys.executable, "-I", "-m", "server.cli", "doctor"],
            False,
        )


def test_the_core_of_grpc_prints_nothing_in_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.cli.main", lambda: None)
    monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
    isolated.main()
    assert os.environ["GRPC_VERBOSITY"] == "NONE"


@pytest.mark.parametrize(
    "name",
    ["GUNICORN_CMD_ARGS", "GUNICORN_FD", "WEB_CONCURRENCY", "PORT", "SENDFILE", "LISTEN_FDS"],
)
def test_an_option_of_gunicorn_is_forgotten(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "3")
    forget_options_of_gunicorn()
    assert name not in os.environ


def test_of_libpq_s_variables_only_those_that_prove_who_we_are_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind = {"PGSERVICE", "PGSSLMODE", "PGTARGETSESSIONATTRS", "GRPC_POLL_STRATEGY"}
    for name in (*behind, *PROOFS):
        monkeypatch.setenv(name, "x")
    read_settings({})  # of another process
    assert behind < set(os.environ)
    monkeypatch.delenv("PLEXSPHERE_DSN", raising=False)
    read_settings()
    assert (behind & set(os.environ), PROOFS - set(os.environ)) == (set(), set())


@pytest.mark.parametrize(
    "hard, complained",
    [(FEWEST_DESCRIPTORS - 1, True), (FEWEST_DESCRIPTORS, False), (resource.RLIM_INFINITY, False)],
)
def test_a_worker_that_may_open_too_few_files_does_not_start(
    hard: int, complained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda kind: (32, hard))
    complaint = descriptors_complaint()
    assert (complaint is not None) == complained
    assert not complained or f"may open {hard} files" in str(complaint)
