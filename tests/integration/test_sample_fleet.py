"""The sample fleet's edges, pulled through the running service (the rest is test_dev_sample.py)."""

from __future__ import annotations

import ipaddress

from server.dev.sample import LARGEST_ENTRIES, MANY_RULES
from server.dev.stack import Stack
from server.settings import COMMAND_VARIABLES
from tests.client import ask, bearer, pull_path


def pulled(stack: Stack, node_id: object) -> dict[str, object]:
    reply = ask(stack.url, pull_path(node_id), bearer(stack.token(f"node:{node_id}")))
    assert reply.status == 200, reply.body
    body: dict[str, object] = reply.json
    return body


def test_one_node_has_as_many_rules_as_a_revision_may_have(stack: Stack) -> None:
    policy = pulled(stack, stack.sample.node_id(MANY_RULES))["policy"]
    assert isinstance(policy, dict)
    assert len(policy["rules"]) == 1024


def test_one_nodes_values_are_as_long_as_they_may_be(stack: Stack) -> None:
    state = pulled(stack, stack.sample.node_id(LARGEST_ENTRIES))["state"]
    assert isinstance(state, dict)
    sizes = [len(entry["value"].encode()) for bucket in state.values() for entry in bucket]
    assert sizes.count(4096) == 3
    assert any(not report["value"].isascii() for report in state["reports"])


def test_a_second_domain_is_on_ipv6(stack: Stack) -> None:
    first = stack.sample.ipv6_ids[0]
    peers = pulled(stack, first)["peers"]
    assert isinstance(peers, list)
    assert len(peers) == len(stack.sample.ipv6_ids) - 2  # itself, and the unspecified address
    assert {ipaddress.ip_address(peer["mesh_ip"]).version for peer in peers} == {6}
    assert stack.identities["PLEXSPHERE_IPV6_NODE_ID"] == str(first)
    assert set(stack.identities) <= set(COMMAND_VARIABLES)
