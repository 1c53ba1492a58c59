"""PLEXSPHERE_INTERNAL_BIND and PLEXSPHERE_ACCESS_LOG, on the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from server.dev.parts import Part
from server.dev.ports import HOST, free_ports
from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.waiting import until


@pytest.fixture(scope="module")
def internal(stack: Stack) -> Iterator[tuple[Part, str]]:
    """A service with both settings, and the URL of its other port."""
    (port,) = free_ports(1)
    env = {"PLEXSPHERE_INTERNAL_BIND": f"{HOST}:{port}", "PLEXSPHERE_ACCESS_LOG": "1"}
    service = stack.extra_gunicorn("internal", env)
    yield service, f"http://{HOST}:{port}"
    service.stop()


def test_metrics_and_docs_are_on_the_other_port_only(internal: tuple[Part, str]) -> None:
    service, url = internal
    for path in ("/metrics", "/docs"):
        refused, answered = ask(service.url, path), ask(url, path)
        unknown = ask(service.url, "/unknown")
        own = {"instance": path, "correlation_id": refused.json["correlation_id"]}
        assert (refused.status, refused.json) == (404, unknown.json | own)
        assert answered.status == 200
    assert [ask(each, "/livez").status for each in (service.url, url)] == [200, 200]


def test_each_request_has_a_line(stack: Stack, internal: tuple[Part, str]) -> None:
    service, _ = internal
    headers = stack.headers | {"X-Correlation-Id": "access-1"}
    assert ask(service.url, pull_path(stack.node_id), headers).status == 200
    log = stack.places.gunicorn / "internal.log"

    def lines() -> list[dict[str, object]]:
        found = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in found if line.get("correlation_id") == "access-1"]

    until(lines, "the access line")
    (line,) = lines()
    assert (line["event"], line["operation"], line["status"]) == ("request", "GetNodeState", 200)
    stages = line["stages"]
    assert isinstance(stages, dict)
    assert stages.keys() >= {"queue", "authentication", "spicedb", "postgres", "handler"}
