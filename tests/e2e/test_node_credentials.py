"""Secret keys over sockets: an agent lives on one, rotates it, and loses it at once."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON, body_now
from tests.client import Reply, ask, bearer, pull_path
from tests.ledger_sql import audit_rows


class Agent:
    """A Node that was registered over HTTP, and its credentials."""

    def __init__(self, stack: Stack, key: str | None = None) -> None:
        self._stack = stack
        self._domain_id = scratch.domain(stack)
        self._public_key = base64.b64encode(os.urandom(32)).decode()
        self._headers = {} if key is None else {"Idempotency-Key": key}
        self.register()

    def register(self) -> Reply:
        stack = self._stack
        reply = ask(
            stack.url,
            f"/v1/domains/{self._domain_id}/nodes",
            JSON | bearer(stack.token(OPERATOR)) | self._headers,
            method="POST",
            body=json.dumps({"public_key": self._public_key}).encode(),
        )
        if reply.status in (200, 201):
            self.id: str = reply.json["node_id"]
            self.token: str = reply.json["token"]
            self.secret: str = reply.json["nsk"]
        return reply

    def credential(self, secret: str | None = None, node: str | None = None) -> str:
        """A secret key as an agent presents it."""
        raw = UUID(node or self.id).bytes + base64.b64decode(secret or self.secret)
        return f"nsk_plexd_{base64.urlsafe_b64encode(raw).decode()}"

    def ask(self, path: str, credential: str | None = None, **request: Any) -> Reply:
        headers = bearer(credential or self.credential()) | request.pop("headers", {})
        return ask(self._stack.url, f"/v1/nodes/{self.id}{path}", headers, **request)

    def rotate(self) -> str:
        reply = self.ask("/secret-key", method="POST")
        assert (reply.status, reply.headers["cache-control"]) == (200, "no-store")
        secret: str = reply.json["nsk"]
        return secret

    def revoke(self) -> None:
        operator = self._stack.token(OPERATOR)
        assert self.ask("/credentials", operator, method="DELETE").status == 204


def heartbeat(agent: Agent, credential: str | None = None) -> Reply:
    body = body_now("PostNodeHeartbeat")
    return agent.ask("/heartbeat", credential, method="POST", body=body, headers=JSON)


@pytest.fixture(scope="module")
def agent(stack: Stack) -> Agent:
    return Agent(stack)


def test_an_agent_lives_on_its_secret_key(agent: Agent) -> None:
    statuses = [
        agent.ask("/state").status,
        heartbeat(agent).status,
        agent.ask("/reachability").status,
        agent.ask("/token", method="POST").status,
    ]
    assert statuses == [200, 200, 200, 200]


def test_a_pull_by_secret_key_has_the_bytes_and_the_audit_row_of_a_pull_by_token(
    stack: Stack, agent: Agent
) -> None:
    mark = f"nsk-{uuid4().hex}"
    by_key = agent.ask("/state", headers={"X-Correlation-Id": mark})
    by_token = agent.ask("/state", agent.token)
    assert by_key.json["peers"] == by_token.json["peers"]
    assert by_key.headers["etag"] == by_token.headers["etag"]
    digest = by_key.headers["etag"].removeprefix('W/"').removesuffix('"')
    node = f"node:{agent.id}"
    assert audit_rows(stack.dsn, mark) == [("node_state.pull", "granted", node, node, digest)]


def test_every_wrong_key_is_the_401_of_no_key(stack: Stack, agent: Agent) -> None:
    nobody = ask(stack.url, pull_path(agent.id))
    wrong = [
        agent.credential(base64.b64encode(bytes(32)).decode()),
        agent.credential(node="0190ffff-0000-7000-8000-00000000ffff"),
        agent.credential()[:-1],
        agent.secret,
    ]
    for credential in wrong:
        reply = agent.ask("/state", credential)
        assert (reply.status, reply.blanked()) == (401, nobody.blanked())


def test_a_key_of_one_node_opens_no_other(stack: Stack, agent: Agent) -> None:
    reply = ask(stack.url, pull_path(stack.node_id), bearer(agent.credential()))
    assert (reply.status, reply.code) == (403, "insufficient_relation")


def test_an_operation_that_names_no_secret_keys_takes_none(stack: Stack, agent: Agent) -> None:
    path = f"/v1/domains/{stack.sample.domain_id}"
    assert ask(stack.url, path, bearer(agent.credential())).status == 401


def test_two_keys_are_valid_during_a_rotation_and_no_third(stack: Stack) -> None:
    agent = Agent(stack)
    first = agent.credential()
    agent.secret = agent.rotate()
    second = agent.credential()
    assert [agent.ask("/state", key).status for key in (first, second)] == [200, 200]
    agent.secret = agent.rotate()
    keys = (first, second, agent.credential())
    assert [agent.ask("/state", key).status for key in keys] == [401, 200, 200]
    assert [heartbeat(agent, key).status for key in keys] == [401, 200, 200]


def test_a_revocation_ends_keys_and_tokens_at_once_also_where_nothing_changed(
    stack: Stack,
) -> None:
    agent = Agent(stack)
    etag = agent.ask("/state").headers["etag"]
    assert heartbeat(agent).status == heartbeat(agent, agent.token).status == 200
    agent.revoke()
    mark = f"revoked-{uuid4().hex}"
    for credential in (agent.credential(), agent.token):
        headers = {"If-None-Match": etag, "X-Correlation-Id": mark}
        assert agent.ask("/state", credential).status == 401
        assert agent.ask("/state", credential, headers=headers).status == 401
        assert agent.ask("/reachability", credential).status == 401
        assert heartbeat(agent, credential).status == 401
        assert agent.ask("/token", credential, method="POST").status == 401
    assert audit_rows(stack.dsn, mark, expected=0) == []


def test_a_repeated_registration_ends_the_credentials_of_the_lost_answer(stack: Stack) -> None:
    agent = Agent(stack, key=f"repeat-{uuid4().hex}")
    lost = (agent.credential(), agent.token)
    node = agent.id
    assert agent.register().status == 200
    assert agent.id == node
    assert [agent.ask("/state", credential).status for credential in lost] == [401, 401]
    assert [agent.ask("/state", key).status for key in (agent.credential(), agent.token)] == [
        200,
        200,
    ]


def test_a_public_key_of_the_domain_gives_no_credential(stack: Stack) -> None:
    agent = Agent(stack)
    reply = agent.register()
    assert (reply.status, reply.code) == (409, "public_key_registered")
    assert not {"nsk", "token"} & reply.json.keys()


def test_a_key_of_a_deregistered_node_is_refused(stack: Stack) -> None:
    agent = Agent(stack)
    assert agent.ask("/state").status == 200
    operator = stack.token(OPERATOR)
    assert agent.ask("", operator, method="DELETE").status == 204
    assert agent.ask("/state").status in (401, 403, 404)
    assert heartbeat(agent).status in (401, 403, 404)
