"""``authz verify`` finds what was planted in SpiceDB, ``authz repair`` corrects it, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest

from composer.identity import PLATFORM, domain_object, node_object
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.tuples import RelationTuple, TupleWriter
from server.cli.operators import operator
from server.dev.ports import HOST
from server.dev.stack import Stack
from tests.fakes import Triple
from tests.ledger_sql import run_sql
from tests.outboxes import delete, new_node, own_tuple, token_of, touch, tuples_of, write_row
from tests.ports.deadlines import in_time
from tests.role_commands import command, relay_once
from tests.stacks import made_anew_next_time, running_stack


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """Its SpiceDB is tampered with."""
    with running_stack("authz", nodes=8) as stack:
        made_anew_next_time(stack)
        yield stack


@pytest.fixture
def writer(own: Stack) -> Iterator[TupleWriter]:
    """Behind the outbox's back."""
    key = own.env["PLEXSPHERE_SPICEDB_TOKEN"]
    endpoint = SpiceDbEndpoint(f"{HOST}:{own.spicedb.port}", key, insecure=True)
    with closing(SpiceDbChannel(endpoint, timeout=5)) as channel:
        yield TupleWriter(channel)


def missing_and_surplus(own: Stack) -> tuple[list[Triple], list[Triple]]:
    result = command(own, "authz", "verify", "--json")
    found = json.loads(result.output)
    both = [[tuple(triple.values()) for triple in found[word]] for word in ("missing", "surplus")]
    assert result.exit_code == (1 if any(both) else 0)
    return both[0], both[1]


def test_a_fresh_stack_agrees_with_its_ledger(own: Stack) -> None:
    result = command(own, "authz", "verify")
    assert (result.exit_code, "SpiceDB holds what the ledger implies" in result.output) == (0, True)
    assert json.loads(command(own, "authz", "verify", "--json").output)["implied"] > 16


def test_what_is_missing_and_what_is_too_much_is_named_and_mended(
    own: Stack, writer: TupleWriter
) -> None:
    node = own.sample.node_id(1)
    stranger = (node_object(node), "agent", "user:mallory")
    unreal = (node_object(uuid4()), "agent", "user:mallory")
    root = (PLATFORM, "manager", "user:mallory")
    planted = sorted([stranger, unreal, root])
    writer.touch([RelationTuple(*triple) for triple in planted], in_time())
    writer.delete([RelationTuple(*own_tuple(node))], in_time())
    assert missing_and_surplus(own) == ([own_tuple(node)], planted)
    result = command(own, "authz", "verify")
    assert result.exit_code == 1
    assert f"missing  node:{node}#agent@node:{node}" in result.output
    assert f"surplus  {PLATFORM}#manager@user:mallory" in result.output
    repair = command(own, "authz", "repair")
    assert (repair.exit_code, "repaired: 4 relationships; left: 0" in repair.output) == (0, True)
    assert missing_and_surplus(own) == ([], [])
    result = command(own, "audit", "--json", "--relation", "relationship.remove")
    rows = [json.loads(line) for line in result.output.splitlines()]
    removed = [f"{triple[0]}#node-agent@user:mallory" for triple in (stranger, unreal)]
    removed.append(f"{PLATFORM}#manage@user:mallory")
    assert {(row["subject"], row["object"]) for row in rows} == {
        (operator(), role) for role in removed
    }
    # Who had the surplus is refused at once: the gates ask at these.
    assert token_of(own.dsn, "nodes", node)
    assert token_of(own.dsn, "domains", own.sample.domain_id)
    assert "repaired" not in command(own, "authz", "repair").output


def test_what_waits_in_the_outbox_is_no_difference_and_is_not_undone(own: Stack) -> None:
    node = new_node(own.dsn, own.sample.domain_id)
    write_row(own.dsn, node_object(node), *tuples_of(own.dsn, node, own.sample.domain_id))
    found = json.loads(command(own, "authz", "verify", "--json").output)
    assert (found["missing"], found["surplus"], found["on_their_way"]) == ([], [], 1)
    assert command(own, "authz", "repair").exit_code == 0
    assert relay_once(own).output == "1 row drained\n"
    assert missing_and_surplus(own) == ([], [])


def test_a_node_that_was_deleted_without_its_outbox_row_loses_its_relationships(
    own: Stack,
) -> None:
    node = new_node(own.dsn, own.sample.domain_id)
    write_row(own.dsn, node_object(node), *tuples_of(own.dsn, node, own.sample.domain_id))
    relay_once(own)
    run_sql(own.dsn, "DELETE FROM plexsphere.nodes WHERE id = %s", (str(node),))
    domain = (node_object(node), "domain", domain_object(own.sample.domain_id))
    assert missing_and_surplus(own) == ([], [own_tuple(node), domain])
    assert command(own, "authz", "repair").exit_code == 0
    assert missing_and_surplus(own) == ([], [])


def test_a_late_write_that_undid_a_later_one_is_found_and_mended(
    own: Stack, writer: TupleWriter
) -> None:
    """SpiceDB may carry out a call whose caller has long given up: after the row behind it."""
    node = own.sample.node_id(2)
    someone = (node_object(node), "agent", "service:late")
    write_row(own.dsn, node_object(node), *touch(someone))
    write_row(own.dsn, node_object(node), *delete(someone))
    relay_once(own)
    writer.touch([RelationTuple(*someone)], in_time())
    assert missing_and_surplus(own) == ([], [someone])
    command(own, "authz", "repair")
    assert missing_and_surplus(own) == ([], [])


def test_a_repair_closes_what_was_parked(own: Stack) -> None:
    node = own.sample.node_id(3)
    write_row(own.dsn, node_object(node), *touch((node_object(node), "domain", "user:x")))
    assert relay_once(own).exit_code == 1
    result = command(own, "authz", "repair")
    assert (result.exit_code, "closed: 1 parked row" in result.output) == (0, True)
    assert relay_once(own).exit_code == 0


def test_more_than_a_batch_is_mended(own: Stack, writer: TupleWriter) -> None:
    planted = [RelationTuple(node_object(uuid4()), "agent", "user:mallory") for _ in range(1200)]
    writer.touch(planted, in_time())
    assert len(missing_and_surplus(own)[1]) == 1200
    result = command(own, "authz", "repair")
    assert "repaired: 1,200 relationships; left: 0" in result.output


def test_without_spicedb_the_command_says_so(own: Stack) -> None:
    result = command(own, "authz", "verify", PLEXSPHERE_SPICEDB_ENDPOINT=f"{HOST}:1")
    assert result.exit_code == 3
    assert "SpiceDB cannot be used" in result.output
