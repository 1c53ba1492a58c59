"""Where commands find the service: at the option, or as the settings say."""

from __future__ import annotations

import pytest

from server.cli.failures import ExitCode
from tests.command_runs import NODE, failed, run
from tests.unit.test_cli_service import service

BINDS = {"PLEXSPHERE_BIND": "0.0.0.0:1", "PLEXSPHERE_INTERNAL_BIND": "[::]:2"}


@pytest.mark.parametrize(
    ("command", "url"),
    [
        (("snapshot", NODE), "http://127.0.0.1:1"),
        (("diff", NODE, NODE), "http://127.0.0.1:1"),
        (("events", "show", NODE), "http://127.0.0.1:1"),
        (("enrol", "token", "--domain", NODE), "http://127.0.0.1:1"),
        (("top",), "http://[::1]:2"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_without_a_url_a_command_asks_where_the_settings_say_that_the_service_listens(
    command: tuple[str, ...], url: str
) -> None:
    dsn = {"PLEXSPHERE_DSN": "postgresql://127.0.0.1:1/none"}
    result = run(*command, **BINDS, **dsn)
    assert url in failed(result, ExitCode.REFUSED)


def test_a_socket_needs_a_url() -> None:
    result = run("snapshot", NODE, PLEXSPHERE_BIND="unix:/run/plexsphere.sock")
    assert "give --url" in failed(result, ExitCode.USAGE)


def test_an_address_without_metrics_names_the_one_that_has_them() -> None:
    with service(404, b"{}", "application/problem+json") as url:
        sentence = failed(run("top", "--url", url, **BINDS), ExitCode.REFUSED)
        elsewhere = failed(run("top", "--url", url), ExitCode.REFUSED)
    assert "answers /metrics with 404" in sentence and "(here http://[::1]:2)" in sentence
    assert "at its PLEXSPHERE_INTERNAL_BIND where that is set." in elsewhere
