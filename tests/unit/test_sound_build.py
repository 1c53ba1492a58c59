"""The test build of tests/fuzz, which `make test` leaves out, has every port of the service."""

from __future__ import annotations

import pytest

from tests.bodies import JSON, body_now
from tests.client import bearer, pull_path
from tests.fuzz.breached_build import Build
from tests.fuzz.breached_service import ask
from tests.fuzz.exchange import Exchange
from tests.fuzz.judge import Judge
from tests.fuzz.world import World


@pytest.fixture(scope="module")
def build() -> Build:
    return Build()


@pytest.fixture(scope="module")
def world(build: Build) -> World:
    return build.world()


def test_the_judge_accepts_a_pull_of_the_sound_build(build: Build, world: World) -> None:
    node_id = world.node_ids[0]
    headers = bearer(world.tokens[node_id])
    assert complaints(build, world, "GET", pull_path(node_id), headers) == (200, {})


def test_the_judge_accepts_a_write_of_the_sound_build(build: Build, world: World) -> None:
    path, headers = f"/v1/domains/{world.scratch.home}/nodes", JSON | bearer(world.operator)
    assert complaints(build, world, "POST", path, headers, body_now("RegisterNode")) == (201, {})


def complaints(
    build: Build,
    world: World,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes | None = None,
) -> tuple[int, dict[str, str]]:
    """The status, and what each check has against the answer."""
    reply = ask(build.application(), path, headers, method, body)
    judge, exchange = Judge(world), Exchange.of(method, path, headers, reply, body)
    found = {check: judge.complaint(check, exchange) for check in judge.checks}
    return reply.status, {check: text for check, text in found.items() if text is not None}
