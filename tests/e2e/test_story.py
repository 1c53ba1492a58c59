"""From an empty Domain to a mesh and back, through the service alone; time passes when told to."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from threading import Barrier
from uuid import uuid4

import pytest

from tests.client import Reply
from tests.e2e.story import AUDITOR, Member, Row, Story
from tests.stacks import running_stack

NODES = 16
STALE, UNREACHABLE = 90, 300


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    # A sample of another seed is a ledger made anew: the story begins with an empty one.
    seed = uuid4().int % 1_000_000
    with running_stack("story", nodes=1, seed=seed, workers=2, test_clock=True) as stack:
        yield Story(stack)


def others(members: list[Member], member: Member) -> list[dict[str, str]]:
    """The expected peers of a Node, from the registrations' own triples."""
    found = [other for other in members if other.node_id != member.node_id]
    return [other.triple for other in sorted(found, key=lambda other: other.node_id)]


def states(story: Story, members: list[Member]) -> set[str]:
    return {story.pull(member)["reachability"]["state"] for member in members}


@pytest.mark.timeout(300)
def test_from_an_empty_domain_to_a_mesh_and_back(story: Story) -> None:
    created = story.by_operator(
        "POST",
        "/v1/domains",
        "domain.create",
        "domain:{id}",
        {"name": "Story", "slug": "story", "mesh_cidr": "10.77.0.0/16"},
    )
    assert created.status == 201, created.body
    domain_id = created.json["id"]
    granted = story.command("grant", AUDITOR, "auditor", f"domain:{domain_id}")
    assert granted.exit_code == 0, granted.output

    together = Barrier(NODES)

    def register(number: int) -> tuple[Member, Reply]:
        together.wait()
        return story.register(domain_id, number)

    with ThreadPoolExecutor(NODES) as pool:
        made = list(pool.map(register, range(NODES)))
    members = [member for member, _ in made]
    by_id = {member.node_id: member.triple for member in members}
    assert sorted(
        int(ip_address(member.mesh_ip)) - int(ip_address("10.77.0.0")) for member in members
    ) == (list(range(1, NODES + 1)))
    for member, reply in made:
        seen = reply.json["peers"]
        assert all(by_id[peer["node_id"]] == peer for peer in seen)
        assert member.node_id not in {peer["node_id"] for peer in seen}
    assert max(len(reply.json["peers"]) for _, reply in made) == NODES - 1

    for member in members:
        assert story.pull(member)["peers"] == others(members, member)

    assert {story.beat(member).status for member in members} == {200}
    assert states(story, members[:4]) == {""}
    story.pass_time(1)
    assert states(story, members) == {"healthy"}
    story.pass_time(STALE)
    assert states(story, members) == {"stale"}
    story.pass_time(UNREACHABLE - STALE)
    assert states(story, members) == {"unreachable"}
    assert {story.beat(member).status for member in members[:8]} == {200}
    story.pass_time(1)
    assert states(story, members[:8]) == {"healthy"}
    assert states(story, members[8:]) == {"unreachable"}
    assert {story.beat(member).status for member in members[8:]} == {200}
    story.pass_time(1)
    assert states(story, members) == {"healthy"}

    first, second, leaver = members[0], members[1], members[2]
    put = story.own(first, "PUT", "/state/reports/disk", "node_report.put", {"value": "ok"})
    assert put.status == 200, put.body
    metadata = story.by_operator(
        "PUT",
        f"/v1/nodes/{first.node_id}/state/metadata/site",
        "node_metadata.put",
        f"node:{first.node_id}",
        {"value": "plant north"},
    )
    assert metadata.status == 200, metadata.body
    shown = story.pull(first)["state"]
    assert [report["key"] for report in shown["reports"]] == ["disk"]
    assert [entry["value"] for entry in shown["metadata"]] == ["plant north"]

    key = base64.b64encode(hashlib.sha256(b"story rotated").digest()).decode()
    rotated = story.own(second, "PUT", "/public-key", "node.rotate_key", {"public_key": key})
    assert rotated.status == 200, rotated.body
    members[1] = Member(second.node_id, second.mesh_ip, key, second.token)
    for member in members:
        assert story.pull(member)["peers"] == others(members, member)

    gone = story.by_operator(
        "DELETE", f"/v1/nodes/{leaver.node_id}", "node.deregister", f"node:{leaver.node_id}"
    )
    assert gone.status == 204, gone.body
    members.remove(leaver)
    # Its token still verifies: 403, or 404 where a stale permission meets a row that is gone.
    refused = story.refused_pull(leaver)
    assert (refused.status, refused.code) in (
        (403, "insufficient_relation"),
        (404, "node_not_found"),
    )
    for member in members:
        assert story.pull(member)["peers"] == others(members, member)

    found = audited(story, domain_id)
    assert sorted(found) == sorted(story.recorded)
    # What was asked of one object was asked one after the other, and stands there in that order.
    for about in {row.about for row in story.recorded}:
        asked = [row for row in story.recorded if row.about == about]
        assert [row for row in found if row.about == about] == asked


def audited(story: Story, domain_id: str) -> list[Row]:
    """The auditor's rows by time, once the last ones are readable (a second at most)."""
    token = story.stack.token(AUDITOR)
    for _ in range(100):
        rows = story.audited(domain_id, token)
        if len(rows) >= len(story.recorded):
            break
        time.sleep(0.05)
    return rows
