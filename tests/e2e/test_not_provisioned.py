"""With an empty DSN the service boots, and the pull is 501 whoever asks and however."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.heartbeats import heartbeat_path


@pytest.fixture(scope="module")
def unprovisioned(stack: Stack) -> Iterator[str]:
    part = stack.extra_gunicorn("unprovisioned", {"PLEXSPHERE_DSN": ""})
    yield part.url
    part.stop()


@pytest.mark.parametrize("node_id", ["0190b2c4-8d5e-7000-8000-000000000001", "nonsense", "%0A"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer x.y.z"},
        {"Authorization": "Basic eDp5"},
        {"Authorization": "Bearer"},
        {"Accept": "text/html"},
    ],
    ids=lambda headers: "-".join(headers.values()) or "none",
)
def test_every_form_of_request_is_501(
    unprovisioned: str, node_id: str, headers: dict[str, str]
) -> None:
    reply = ask(unprovisioned, pull_path(node_id), headers)
    assert (reply.status, reply.code) == (501, "signed_event_bus_not_provisioned")


@pytest.mark.parametrize("body", [b"", b"{", b" " * 100_000], ids=["empty", "broken", "large"])
@pytest.mark.parametrize("node_id", ["0190b2c4-8d5e-7000-8000-000000000001", "nonsense"])
def test_every_form_of_heartbeat_and_of_reachability_is_501(
    unprovisioned: str, node_id: str, body: bytes
) -> None:
    reply = ask(unprovisioned, heartbeat_path(node_id), method="POST", body=body)
    assert (reply.status, reply.code) == (501, "heartbeat_not_provisioned")
    reply = ask(unprovisioned, f"/v1/nodes/{node_id}/reachability", body=body)
    assert (reply.status, reply.code) == (501, "reachability_not_provisioned")


def test_a_good_token_is_501_too(unprovisioned: str, stack: Stack) -> None:
    assert ask(unprovisioned, pull_path(stack.node_id), bearer(stack.token())).status == 501


def test_it_is_alive_and_says_that_it_is_not_ready(unprovisioned: str) -> None:
    assert ask(unprovisioned, "/livez").status == 200
    reply = ask(unprovisioned, "/readyz")
    assert reply.status == 503
    assert {"name": "wiring", "status": "down"}.items() <= reply.json["checks"][-1].items()


def test_unknown_routes_and_methods_come_first(unprovisioned: str) -> None:
    assert ask(unprovisioned, "/v1/unknown").status == 404
    reply = ask(unprovisioned, pull_path("x"), method="POST")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
