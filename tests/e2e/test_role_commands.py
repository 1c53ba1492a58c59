"""``grant``, ``revoke`` and ``relay`` against a running service, with SpiceDB there and away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID, uuid4

import psycopg2
import pytest

from composer.identity import domain_object, node_object
from server.cli.operators import operator
from server.dev.commands import REPOSITORY, plain_environment
from server.dev.sample import AUDITOR, OPERATOR
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.ledger_sql import run_sql
from tests.outboxes import own_tuple, purge, token_of, touch, waiting, write_raw, write_row
from tests.role_commands import change_role, command, relay_once
from tests.stacks import made_anew_next_time, running_stack


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """Its SpiceDB may be taken away."""
    with running_stack("roles", nodes=8) as stack:
        made_anew_next_time(stack)
        yield stack


def grants(stack: Stack) -> list[tuple[str, str, str]]:
    sql = "SELECT object, relation, subject FROM plexsphere.role_grants ORDER BY 1, 2, 3"
    return run_sql(stack.dsn, sql)


def may_read_domain(stack: Stack, subject: str) -> bool:
    path = f"/v1/domains/{stack.sample.domain_id}"
    return ask(stack.url, path, bearer(stack.token(subject))).status == 200


def test_a_role_is_said_kept_and_listed(own: Stack) -> None:
    domain = f"domain:{own.sample.domain_id}"
    result = change_role(own, "grant", "user:ann", "domain-edit", domain)
    assert result.exit_code == 0, result.output
    assert f"granted: user:ann domain-edit {domain}" in result.output
    assert "user:ann domain-edit since " in result.output
    assert (domain, "editor", "user:ann") in grants(own)
    assert may_read_domain(own, "user:ann")
    again = change_role(own, "grant", "user:ann", "domain-edit", domain)
    assert (again.exit_code, "unchanged" in again.output) == (0, True)
    taken = command(own, "revoke", "user:ann", "domain-edit", domain, "--json")
    assert (domain, "editor", "user:ann") not in grants(own)
    found = json.loads(taken.output)
    assert (found["changed"], found["holds"]) == (True, False)
    assert not may_read_domain(own, "user:ann")
    assert waiting(own.dsn) == []


def test_who_keeps_a_permission_by_another_role_is_named(own: Stack) -> None:
    domain = f"domain:{own.sample.domain_id}"
    for role in ("domain-edit", "domain-view"):
        change_role(own, "grant", "user:both", role, domain)
    result = change_role(own, "revoke", "user:both", "domain-view", domain)
    assert "user:both still has domain-view by another role" in result.output


def test_a_manager_of_the_platform_reads_every_domain(own: Stack) -> None:
    assert change_role(own, "grant", "service:ci", "manage", "platform").exit_code == 0
    assert may_read_domain(own, "service:ci")
    assert change_role(own, "revoke", "service:ci", "manage", "platform:plexsphere").exit_code == 0
    assert not may_read_domain(own, "service:ci")


def role_rows(stack: Stack, object: str) -> list[tuple[str, str]]:
    """Operation and who did it, of every role row about one relationship, the oldest first."""
    result = command(stack, "audit", "--json", "--limit", "10000")
    rows = [json.loads(line) for line in result.output.splitlines()]
    return [(row["relation"], row["subject"]) for row in rows if row["object"] == object]


def test_who_gave_a_role_and_took_it_is_in_the_domains_audit(own: Stack) -> None:
    domain = f"domain:{own.sample.domain_id}"
    for word in ("grant", "revoke"):
        change_role(own, word, "user:seen", "domain-edit", domain)
    role = f"{domain}#domain-edit@user:seen"
    assert role_rows(own, role) == [("role.grant", operator()), ("role.revoke", operator())]
    path = f"/v1/domains/{own.sample.domain_id}/audit?relation=role.revoke&limit=200"
    page = ask(own.url, path, bearer(own.token(AUDITOR))).json
    assert role in {row["object"] for row in page["items"]}


def test_the_last_manager_stays_unless_it_is_forced(own: Stack) -> None:
    revoke = ("revoke", OPERATOR, "manage", "platform")
    result = command(own, *revoke)
    assert result.exit_code == 3
    assert f"{OPERATOR} is the last subject that may manage the platform" in result.output
    assert may_read_domain(own, OPERATOR)
    forced = command(own, *revoke, "--force")
    assert (forced.exit_code, "nobody can create Domains" in forced.output) == (0, True)
    assert not may_read_domain(own, OPERATOR)
    assert change_role(own, "grant", OPERATOR, "manage", "platform").exit_code == 0


def test_a_nodes_own_agent_is_listed_when_it_is_back(own: Stack) -> None:
    node = f"node:{own.sample.node_id(4)}"
    taken = change_role(own, "revoke", node, "node-agent", node)
    assert f"nobody has a role on {node}." in taken.output
    result = change_role(own, "grant", node, "node-agent", node)
    assert f"  {node} node-agent since " in result.output


WRONG = {
    "relation": (("user:a", "own", "platform"), "manage on a platform, domain-edit on a domain"),
    "relation of another kind": (("user:a", "manage", f"domain:{uuid4()}"), "there is"),
    "object": (("user:a", "manage", "cloud"), "platform, domain:<uuid> or node:<uuid>"),
    "object's id": (("user:a", "domain-view", "domain:7"), "platform, domain:<uuid>"),
    "subject": (("ann", "manage", "platform"), "user:<id>, service:<id> or node:<uuid>"),
    "subject with odd letters": (("user:a b", "manage", "platform"), "user:<id>"),
    "kind of subject": ((f"node:{uuid4()}", "manage", "platform"), "service or user"),
    "unreal domain": (("user:a", "domain-view", f"domain:{uuid4()}"), "no Domain"),
    "unreal node": (("user:a", "node-agent", f"node:{uuid4()}"), "no Node"),
}


@pytest.mark.parametrize("word", ["grant", "revoke"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_word_that_means_nothing_is_a_sentence_and_changes_nothing(
    own: Stack, word: str, wrong: str
) -> None:
    words, sentence = WRONG[wrong]
    before = grants(own), run_sql(own.dsn, "SELECT count(*) FROM plexsphere.outbox")
    result = change_role(own, word, *words)
    assert result.exit_code == 2
    assert sentence in result.output and "Traceback" not in result.output
    assert (grants(own), run_sql(own.dsn, "SELECT count(*) FROM plexsphere.outbox")) == before


def test_without_a_spicedb_in_the_settings_that_is_what_is_said(own: Stack) -> None:
    result = command(own, "grant", "user:a", "manage", "platform", PLEXSPHERE_SPICEDB_ENDPOINT="")
    assert result.exit_code == 2
    assert "PLEXSPHERE_SPICEDB_ENDPOINT" in result.output


def test_while_spicedb_is_away_a_role_is_recorded_and_the_relay_grants_it(own: Stack) -> None:
    domain = f"domain:{own.sample.domain_id}"
    own.spicedb.freeze()
    try:
        result = change_role(own, "grant", "user:late", "domain-view", domain)
        assert result.exit_code == 1
        assert "recorded" in result.output and "the relay will grant it" in result.output
        assert (domain, "viewer", "user:late") in grants(own)
        assert len(waiting(own.dsn)) == 1
        assert relay_once(own).exit_code == 3
    finally:
        own.spicedb.thaw()
    drained = relay_once(own)
    assert (drained.exit_code, drained.output) == (0, "1 row drained\n")
    assert may_read_domain(own, "user:late")


def test_roles_end_with_what_they_are_on(own: Stack) -> None:
    domain, node = uuid4(), uuid4()
    run_sql(own.dsn, "INSERT INTO plexsphere.domains (id) VALUES (%s)", (str(domain),))
    sql = "INSERT INTO plexsphere.nodes (id, domain_id) VALUES (%s, %s)"
    run_sql(own.dsn, sql, (str(node), str(domain)))
    change_role(own, "grant", "user:x", "domain-view", domain_object(domain))
    change_role(own, "grant", "user:x", "node-agent", node_object(node))
    change_role(own, "revoke", node_object(node), "node-agent", node_object(node))
    assert {object for object, _, _ in grants(own)} >= {domain_object(domain), node_object(node)}
    for table, object_id in (("nodes", node), ("domains", domain)):
        run_sql(own.dsn, f"DELETE FROM plexsphere.{table} WHERE id = %s", (str(object_id),))
    for object_ in (domain_object(domain), node_object(node)):
        write_row(own.dsn, object_, purge(object_))
    assert relay_once(own).exit_code == 0
    assert not {domain_object(domain), node_object(node)} & {
        object_ for object_, _, _ in grants(own)
    }
    assert run_sql(own.dsn, "SELECT object FROM plexsphere.withheld_tuples") == []


def test_a_withheld_node_stays_out_when_the_development_spicedb_is_made_anew(own: Stack) -> None:
    node = own.sample.node_id(5)
    subject = f"node:{node}"

    def pull() -> int:
        return ask(own.url, pull_path(str(node)), bearer(own.token(subject))).status

    change_role(own, "revoke", subject, "node-agent", subject)
    own.spicedb.restart()
    until(lambda: pull() == 403)
    change_role(own, "grant", subject, "node-agent", subject)
    until(lambda: pull() == 200)


def test_rows_that_wait_while_the_development_spicedb_is_made_anew_do_no_harm(own: Stack) -> None:
    """It is filled with what the ledger implies, and the rows say that once more."""
    node, gone = own.sample.node_id(6), UUID(int=uuid4().int)
    write_row(own.dsn, node_object(node), *touch(own_tuple(node)))
    write_row(own.dsn, node_object(gone), *touch(own_tuple(gone)))
    write_row(own.dsn, node_object(gone), purge(node_object(gone)))
    own.spicedb.restart()
    assert relay_once(own).output == "3 rows drained\n"
    assert token_of(own.dsn, "nodes", node)
    until(
        lambda: ask(own.url, pull_path(str(node)), bearer(own.token(f"node:{node}"))).status == 200
    )


def test_a_relay_that_leaves_rows_behind_says_so(own: Stack) -> None:
    sick = node_object(uuid4())
    write_raw(own.dsn, sick, [{"operation": "touch", "resource": sick}])
    result = relay_once(own)
    assert result.exit_code == 1
    assert "0 rows drained; 0 still waiting, 1 parked" in result.output
    write_row(own.dsn, sick, purge(sick))
    assert relay_once(own).exit_code == 0


def test_a_relay_names_another_that_has_the_rows_in_hand(own: Stack) -> None:
    """As one has while SpiceDB is frozen: this one passes them over."""
    held = node_object(uuid4())
    write_row(own.dsn, held, *touch((held, "agent", held)))
    with closing(psycopg2.connect(own.dsn, application_name="plexsphere-state relay")) as other:
        other.cursor().execute(
            "SELECT FROM plexsphere.outbox WHERE object = %s FOR UPDATE", (held,)
        )
        pid = other.info.backend_pid
        result = relay_once(own)
        assert result.exit_code == 1
        assert "0 rows drained; 1 still waiting, 0 parked" in result.output
        assert f"locked by plexsphere-state relay (pid {pid}) for " in result.output
        found = json.loads(command(own, "relay", "--once", "--json").output)
        assert [holder["pid"] for holder in found["locked_by"]] == [pid]
    write_row(own.dsn, held, purge(held))
    assert relay_once(own).output == "2 rows drained\n"


def test_a_relay_says_what_spicedb_does_not_know_yet(own: Stack) -> None:
    early = node_object(uuid4())
    write_row(own.dsn, early, *touch((early, "operator", "user:ed")))
    result = relay_once(own)
    assert (result.exit_code, "0 rows drained; 1 still waiting" in result.output) == (1, True)
    assert f"{early} waits for SpiceDB's schema" in result.output
    assert "FAILED_PRECONDITION" in result.output
    found = json.loads(command(own, "relay", "--once", "--json").output)
    assert list(found["deferred"]) == [early]
    run_sql(own.dsn, "DELETE FROM plexsphere.outbox WHERE object = %s", (early,))


def test_a_relay_outlives_spicedb_and_postgres_and_ends_at_once_when_told_to(own: Stack) -> None:
    node = own.sample.node_id(7)
    process = subprocess.Popen(
        [sys.executable, "-m", "server.cli", "relay"],
        env={**plain_environment(), **own.env, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        for part in (own.spicedb, own.postgres):
            write_row(own.dsn, node_object(node), *touch(own_tuple(node)))
            until(lambda: waiting(own.dsn) == [])
            part.freeze()
            time.sleep(0)
            part.thaw()
        own.spicedb.kill()
        write_row(own.dsn, node_object(node), *touch(own_tuple(node)))
        own.spicedb.start()
        until(lambda: waiting(own.dsn) == [])
        own.postgres.restart()
        write_row(own.dsn, node_object(node), *touch(own_tuple(node)))
        until(lambda: waiting(own.dsn) == [])
        own.spicedb.freeze()
        write_row(own.dsn, node_object(node), *touch(own_tuple(node)))
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        output = process.communicate(timeout=30)[0].decode()
        assert process.returncode == 0, output
        assert time.monotonic() - began < 10
        assert "relay_stopped" in output
    finally:
        own.spicedb.thaw()
        process.kill()
        process.communicate()
    assert len(waiting(own.dsn)) == 1
    assert relay_once(own).exit_code == 0


def until(done: object) -> None:
    deadline = time.monotonic() + 60
    while not done():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
