"""Event streams of Nodes on real parts: NATS, the relay, gunicorn, Postgres, SpiceDB."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from random import randint
from uuid import UUID, uuid4

import pytest

from server.authn.secret_keys import secret_key_text
from server.cli.scrape import samples_of
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import ask, bearer, pull_path
from tests.envelope_verifier import go_escaped, verify
from tests.event_client import EventClient, Frame, held_stream
from tests.ledger_sql import run_sql
from tests.role_commands import change_role, command
from tests.stacks import running_stack
from tests.waiting import until

REGISTERED = 4
ROTATED = "peer_key_rotated"
PEER = ("node_id", "mesh_ip", "public_key")
POLICY = UUID(int=7)
# Events that show blocks of the pull, with the members of their payload that do.
BLOCKS = {
    "policy_updated": ["rules", "fingerprint"],
    "bridge_config_updated": ["effective_config"],
    "node_state_updated": ["metadata", "data"],
}
# Events of 60 KB each: more than a client may leave unread, less than a stream resumes after.
CUT_AFTER = 15


@pytest.fixture(scope="module")
def last_answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("last-answers")


@pytest.fixture(scope="module")
def stack(last_answers: Path) -> Iterator[Stack]:
    env = {"PLEXSPHERE_STALE_READ_FOLDER": str(last_answers)}
    with running_stack("events", nodes=8, workers=1, nats=True, relay=True, env=env) as stack:
        yield stack


class Fleet:
    """A Domain of its own, whose Nodes are registered over HTTP and present secret keys."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.domain_id = scratch.domain(stack)
        self.headers: dict[str, dict[str, str]] = {}
        self.event_keys: dict[str, bytes] = {}  # as the registrations name them

    def register(self) -> str:
        path = f"/v1/domains/{self.domain_id}/nodes"
        reply = scratch.post(self.stack, path, "RegisterNode")
        assert reply.status == 201, reply.body
        node_id = str(reply.json["node_id"])
        key = secret_key_text(UUID(node_id), base64.b64decode(reply.json["nsk"]), "plexd")
        self.headers[node_id] = bearer(key)
        self.event_keys[reply.json["signing_key_id"]] = base64.b64decode(
            reply.json["signing_public_key"]
        )
        return node_id

    def hold(self, node_id: str, last_id: str | None = None) -> AbstractContextManager[EventClient]:
        return held_stream(self.stack.url, node_id, self.headers[node_id], last_id)

    def pull(self, node_id: str) -> bytes:
        reply = ask(self.stack.url, pull_path(node_id), self.headers[node_id])
        assert reply.status == 200
        return reply.body

    def rotate(self, node_id: str) -> None:
        body = body_now("RotateNodeKey")
        headers = {**JSON, **self.headers[node_id]}
        reply = ask(self.stack.url, f"/v1/nodes/{node_id}/public-key", headers, "PUT", body)
        assert reply.status == 200, reply.body


@pytest.fixture
def fleet(stack: Stack) -> Fleet:
    return Fleet(stack)


def payload(frame: Frame) -> dict[str, str]:
    return json.loads(frame.data)["payload"]


def cuts(stack: Stack) -> float:
    """The streams that were cut, because their clients did not read."""
    samples = samples_of(ask(stack.url, "/metrics").body.decode())
    return samples.get(("plexsphere_event_streams_cut_total", frozenset()), 0.0)


def outcomes(stack: Stack, node_id: str) -> list[str]:
    """Of the audit rows about the Node's stream."""
    rows = run_sql(
        stack.dsn,
        "SELECT outcome FROM plexsphere.audit_rows"
        " WHERE relation = 'node_events.subscribe' AND object = %s ORDER BY seq",
        (f"node:{node_id}",),
    )
    return [outcome for (outcome,) in rows]


def put_policy(stack: Stack, node_id: str, rules: int) -> None:
    """The merged policy of a Node, of another fingerprint each time."""
    port = {"from": randint(1, 65_535), "to": 65_535}
    rule = {"action": "allow", "protocol": "tcp", "source_cidr": "10.0.0.0/8", "ports": port}
    line = json.dumps({**rule, "destination_cidr": "10.42.0.7/32"}, separators=(",", ":"))
    payload = f"{line}\n".encode() * rules
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.policy_compiled_ruleset"
        " (node_id, policy_id, revision_id, rule_payload, fingerprint)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (node_id, policy_id) DO UPDATE"
        " SET rule_payload = EXCLUDED.rule_payload, fingerprint = EXCLUDED.fingerprint",
        (node_id, str(POLICY), str(POLICY), payload, sha256(payload).digest()),
    )


def put_bridge(stack: Stack, node_id: str) -> None:
    """A bridge whose provider has a policy that JSON printers spell in more than one way."""
    run_sql(
        stack.dsn,
        "WITH b AS (INSERT INTO plexsphere.bridge_resources (id, node_id) VALUES (%s, %s)"
        " RETURNING id) INSERT INTO plexsphere.bridge_user_access_providers (bridge_resource_id,"
        " slug, kind, interface_name, listen_port, max_peers, auth_secret_ref, routing_policy)"
        " SELECT b.id, 'a', 'wireguard', 'wg<&>', 1, 1, 'secret:a/b/c', %s FROM b",
        (str(uuid4()), node_id, '{"b": 1.50, "a": [1e3]}'),
    )


def members(text: str) -> list[str]:
    """The members of a JSON object as they are written, with their names."""
    names, found = list(json.loads(text)), []
    for name in names:
        start = text.index(f'"{name}":')
        _, end = json.JSONDecoder().raw_decode(text, start + len(name) + 3)
        found.append(text[start:end])
    return found


def rotations(frames: list[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.event == ROTATED]


def test_stream_and_pull_show_the_same_peers_byte_for_byte(fleet: Fleet) -> None:
    """The seed's convergence gate: N Nodes registered over HTTP, an event for each."""
    first = fleet.register()
    with fleet.hold(first) as client:
        client.opening()
        registered = {fleet.register() for _ in range(REGISTERED)}
        frames = [client.event() for _ in range(REGISTERED)]
    assert {frame.event for frame in frames} == {"peer_added"}
    peers = {tuple(payload(frame)[key] for key in PEER) for frame in frames}
    pulled = {tuple(peer[key] for key in PEER) for peer in json.loads(fleet.pull(first))["peers"]}
    assert peers == pulled and {node_id for node_id, _, _ in peers} == registered
    for frame in frames:
        event = verify(frame.data, fleet.event_keys, {f"domain:{fleet.domain_id}"})
        assert event.payload_text.encode() in fleet.pull(first)


def test_stream_and_pull_show_the_same_policy_bridge_and_state_byte_for_byte(
    stack: Stack, fleet: Fleet
) -> None:
    node_id = fleet.register()
    scopes = {f"domain:{fleet.domain_id}", f"node:{node_id}"}
    with fleet.hold(node_id) as client:
        client.opening()
        put_policy(stack, node_id, rules=2)
        put_bridge(stack, node_id)
        scratch.hold(stack, node_id, "a")
        frames = [client.event(kind) for kind in BLOCKS]
    pulled = go_escaped(fleet.pull(node_id).decode())  # as an envelope spells <, > and &
    for frame, (kind, names) in zip(frames, BLOCKS.items(), strict=True):
        event = verify(frame.data, fleet.event_keys, scopes)
        texts = dict(zip(event.payload, members(event.payload_text), strict=True))
        for name in names:
            text = texts[name].removeprefix(f'"{name}":')
            assert text in pulled, kind


def test_a_client_that_is_cut_for_not_reading_resumes_by_its_id(stack: Stack, fleet: Fleet) -> None:
    node_id, before = fleet.register(), cuts(stack)
    with fleet.hold(node_id) as client:
        client.opening()
        for _ in range(CUT_AFTER):
            put_policy(stack, node_id, rules=450)
        until(lambda: cuts(stack) > before, "the cut of the client")
        with suppress(ConnectionError):
            client.rest()
    frames = [frame for frame in client.seen if frame.event]
    assert len(frames) < CUT_AFTER
    with fleet.hold(node_id, client.last_id) as again:
        frames += again.opening()
        frames += [again.event() for _ in range(CUT_AFTER - len(frames))]
    assert [frame.event for frame in frames] == ["policy_updated"] * CUT_AFTER


def test_a_node_hears_of_its_peers_and_never_of_itself(fleet: Fleet) -> None:
    first, second = fleet.register(), fleet.register()
    with fleet.hold(first) as one, fleet.hold(second) as two:
        one.opening(), two.opening()
        fleet.rotate(first)
        fleet.rotate(second)
        assert payload(one.event(ROTATED))["node_id"] == second
        assert payload(two.event(ROTATED))["node_id"] == first


def test_a_stream_resumes_strictly_after_the_last_event(fleet: Fleet) -> None:
    first, second = fleet.register(), fleet.register()
    with fleet.hold(first) as client:
        client.opening()
        fleet.rotate(second)
        known = client.event(ROTATED).id
    fleet.rotate(second)
    with fleet.hold(first, known) as client:
        missed = client.opening() or [client.event()]
    assert [int(frame.id) > int(known) for frame in missed] == [True]
    with fleet.hold(first, "1") as client:
        assert [frame.event for frame in client.opening()] == ["resync_required"]


def test_streams_move_to_the_next_worker_without_a_gap(stack: Stack, fleet: Fleet) -> None:
    first, second = fleet.register(), fleet.register()
    with fleet.hold(first) as client:
        client.opening()
        os.kill(stack.gunicorn.pid, signal.SIGHUP)
        fleet.rotate(second)
        frames = rotations(client.rest())
    fleet.rotate(second)
    with fleet.hold(first, client.last_id) as again:
        frames += rotations(again.opening())
        frames += [again.event(ROTATED) for _ in range(2 - len(frames))]
    assert [payload(frame)["node_id"] for frame in frames] == [second, second]
    assert len({frame.id for frame in frames}) == 2


def test_a_revoked_node_loses_its_stream_and_its_end_is_on_record(
    stack: Stack, fleet: Fleet
) -> None:
    node_id, other = fleet.register(), fleet.register()
    with ExitStack() as streams:
        client = streams.enter_context(fleet.hold(node_id))
        untouched = streams.enter_context(fleet.hold(other))
        client.opening(), untouched.opening()
        node = f"node:{node_id}"
        assert change_role(stack, "revoke", node, "node-agent", node).exit_code == 0
        client.rest()
        fleet.register()
        assert untouched.event().event == "peer_added"
    with fleet.hold(node_id) as refused:
        assert refused.status == 403
    until(lambda: len(outcomes(stack, node_id)) == 3, "rows are missing")
    assert outcomes(stack, node_id) == ["granted", "insufficient_relation", "insufficient_relation"]


@pytest.mark.parametrize("take_away", ["credentials", "node"])
def test_what_ends_a_node_or_its_credential_ends_its_stream(
    stack: Stack, fleet: Fleet, take_away: str
) -> None:
    node_id = fleet.register()
    path = f"/v1/nodes/{node_id}" + ("/credentials" if take_away == "credentials" else "")
    with fleet.hold(node_id) as client:
        client.opening()
        reply = ask(stack.url, path, bearer(stack.token(OPERATOR)), "DELETE")
        assert reply.status == 204
        client.rest()


def test_a_revocation_by_another_host_ends_the_last_answer(
    stack: Stack, fleet: Fleet, last_answers: Path
) -> None:
    node_id = fleet.register()
    fleet.pull(node_id)
    assert (last_answers / node_id).exists()
    sql = "UPDATE plexsphere.nodes SET tokens_not_before = now() WHERE id = %s"
    run_sql(stack.dsn, sql, (node_id,))
    until(lambda: not (last_answers / node_id).exists(), "the last answer to go")


def test_without_nats_held_streams_stay_and_catch_up_and_pulls_go_on(
    stack: Stack, fleet: Fleet
) -> None:
    first, second = fleet.register(), fleet.register()
    with fleet.hold(first) as client:
        client.opening()
        stack.parts["nats"].kill()
        fleet.rotate(second)

        def refused() -> bool:
            with fleet.hold(second) as new:
                return new.status == 503

        until(refused, "streams are opened without NATS")
        fleet.pull(first)
        readiness = ask(stack.url, "/readyz")
        nats = [check for check in readiness.json["checks"] if check["name"] == "nats"]
        assert (readiness.status, nats[0]["status"]) == (200, "degraded")
        stack.parts["nats"].start()
        assert payload(client.event(ROTATED))["node_id"] == second


def test_simulated_agents_hold_their_streams_and_are_right(stack: Stack) -> None:
    sizes = ("--nodes", "4", "--seconds", "1", "--name", "streams", "--json")
    result = command(stack, "fleet", "simulate", "--events", *sizes, **stack.identities)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["silent"], found["unequal"]) == ({}, {})
    assert found["kinds"]["stream"]["statuses"] == {"200": 4}
    assert found["kinds"]["pull"]["statuses"].keys() == {"200"}


def test_the_command_shows_what_a_node_is_sent(stack: Stack) -> None:
    result = command(stack, "events", "show", stack.node_id, "--after", "1", **stack.identities)
    assert result.exit_code == 0, result.output
    assert "resync_required" in result.stdout


def test_the_fleets_status_shows_who_has_a_stream(stack: Stack, fleet: Fleet) -> None:
    first, second = fleet.register(), fleet.register()
    with fleet.hold(first) as client:
        client.opening()
        asked = ("fleet", "status", "--domain", fleet.domain_id, "--json")
        found = json.loads(command(stack, *asked).stdout)
    assert [stream["node_id"] for stream in found["streams"]["streams"]] == [first]
    assert {node["node_id"] for node in found["nodes"]} == {first, second}
