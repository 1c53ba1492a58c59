"""The life of a Node over sockets, as its agent lives it: enrolment, pulls, heartbeats, reports.

``Agent`` is written from what agents send, and imports nothing of the service.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import JSON
from tests.client import ask, bearer
from tests.command_runs import run
from tests.ledger_sql import audit_rows, run_sql
from tests.role_commands import change_role

PROJECT = "0190c000-0000-7000-8000-00000000aaaa"
CLIENTS = 32


class Agent:
    """An agent before its enrolment: a key pair, a handle, a nonce for all its attempts."""

    def __init__(self, url: str, token: str, project: str = PROJECT) -> None:
        self.url = url
        self.asked = {
            "project_id": project,
            "resource_handle": f"press-{uuid4().hex}",
            "bootstrap_token": token,
            "nonce": base64.b64encode(os.urandom(24)).decode(),
            "public_key": base64.b64encode(os.urandom(32)).decode(),
        }
        self.identity: dict[str, Any] = {}
        self.credential = ""

    def register(self) -> tuple[int, str]:
        """Status and code. After a 201 the agent keeps its identity, or raises ValueError."""
        status, answer = self.send("POST", "/v1/register", self.asked, authorized=False)
        if status == 201:
            secret, key = (
                base64.b64decode(answer[name], validate=True)
                for name in ("nsk", "signing_public_key")
            )
            if (len(secret), len(key)) != (32, 32):
                raise ValueError("an agent aborts on other keys")
            raw = UUID(answer["node_id"]).bytes + secret
            self.credential = f"nsk_plexd_{base64.urlsafe_b64encode(raw).decode().rstrip('=')}"
            self.identity = answer
        return status, answer.get("code", "")

    def pull(self) -> tuple[int, Any]:
        return self.send("GET", f"{self._path}/state")

    def heartbeat(self) -> tuple[int, Any]:
        value = {
            "client_now": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "binary_checksum": base64.b64encode(hashlib.sha256(b"plexd").digest()).decode(),
            "binary_version": "0.7.0",
            "nat_summary": {},
        }
        return self.send("POST", f"{self._path}/heartbeat", value)

    def report(self, key: str, value: str) -> tuple[int, Any]:
        return self.send("PUT", f"{self._path}/state/reports/{key}", {"value": value})

    def send(
        self, method: str, path: str, value: Any = None, *, authorized: bool = True
    ) -> tuple[int, Any]:
        headers = {"Accept-Encoding": "gzip", "User-Agent": "plexd/0.7.0"}
        if authorized:
            headers["Authorization"] = f"Bearer {self.credential}"
        body = None
        if value is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(value).encode()
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, _decoded(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, _decoded(refusal)

    @property
    def _path(self) -> str:
        return f"/v1/nodes/{self.identity['node_id']}"


def _decoded(answer: Any) -> Any:
    raw = answer.read()
    if answer.headers.get("Content-Encoding") == "gzip":
        raw = gzip.decompress(raw)
    return json.loads(raw) if raw else {}


class Tokens:
    """Issues tokens of one new Domain over HTTP."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.domain_id = scratch.domain(stack)

    def issue(self, subject: str = OPERATOR, **members: object) -> str:
        wanted = {"project_id": PROJECT, "ttl_seconds": 300, **members}
        reply = ask(
            self.stack.url,
            f"/v1/domains/{self.domain_id}/bootstrap-tokens",
            JSON | bearer(self.stack.token(subject)),
            method="POST",
            body=json.dumps(wanted).encode(),
        )
        assert reply.status == 201, reply.body
        token: str = reply.json["token"]
        return token

    def agent(self, token: str | None = None, **changes: str) -> Agent:
        agent = Agent(self.stack.url, token or self.issue())
        agent.asked |= changes
        return agent

    def nodes(self) -> int:
        found = run_sql(
            self.stack.dsn,
            "SELECT count(*) FROM plexsphere.nodes WHERE domain_id = %s",
            (self.domain_id,),
        )
        return int(found[0][0])


@pytest.fixture(scope="module")
def tokens(stack: Stack) -> Tokens:
    return Tokens(stack)


def test_an_agent_lives_on_what_its_enrolment_gave_it(tokens: Tokens) -> None:
    first, second = tokens.agent(), tokens.agent()
    assert (first.register(), second.register()) == ((201, ""), (201, ""))
    assert [peer["node_id"] for peer in second.identity["peer_snapshot"]] == [
        first.identity["node_id"]
    ]
    assert re.fullmatch(r"[0-9a-f]{16}", first.identity["signing_key_id"])
    assert first.identity["signing_key_id"] == second.identity["signing_key_id"]
    status, state = first.pull()
    assert (status, [peer["public_key"] for peer in state["peers"]]) == (
        200,
        [second.asked["public_key"]],
    )
    assert first.heartbeat()[0] == 200
    assert first.report("status.mesh", "up")[0] == 200
    assert [entry["key"] for entry in first.pull()[1]["reports"]["reports"]] == ["status.mesh"]


def test_an_enrolment_is_on_record_under_its_token(stack: Stack, tokens: Tokens) -> None:
    agent, mark = tokens.agent(), f"enrol-{uuid4().hex}"
    reply = ask(
        stack.url,
        "/v1/register",
        JSON | {"X-Correlation-Id": mark},
        method="POST",
        body=json.dumps(agent.asked).encode(),
    )
    (row,) = audit_rows(stack.dsn, mark)
    assert (row[0], row[1], row[3]) == ("node.enrol", "granted", f"node:{reply.json['node_id']}")
    assert re.fullmatch(r"bootstrap-token:[0-9a-f-]{36}", row[2])


def test_32_agents_with_one_token_make_one_node(tokens: Tokens) -> None:
    before, token = tokens.nodes(), tokens.issue()
    agents = [tokens.agent(token) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(Agent.register, agents))
    assert sorted(answers) == [(201, ""), *[(403, "token_consumed")] * (CLIENTS - 1)]
    assert tokens.nodes() == before + 1


def test_a_lost_answer_is_not_answered_again(tokens: Tokens) -> None:
    agent = tokens.agent()
    assert agent.register() == (201, "")
    assert agent.register() == (403, "nonce_collision")
    assert agent.pull()[0] == 200
    other = tokens.agent(nonce=agent.asked["nonce"])
    assert other.register() == (403, "nonce_collision")


REFUSED: dict[str, tuple[Callable[[Tokens], dict[str, str]], tuple[int, str]]] = {
    "another project": (
        lambda tokens: {"project_id": tokens.domain_id},
        (403, "project_mismatch"),
    ),
    "a key of zeros": (lambda tokens: {"public_key": "A" * 43 + "="}, (400, "public_key_invalid")),
    "no nonce": (lambda tokens: {"nonce": ""}, (422, "invariant_violation")),
    "a key that the Domain has": (
        lambda tokens: {"public_key": _enrolled(tokens).asked["public_key"]},
        (409, "public_key_registered"),
    ),
}


def _enrolled(tokens: Tokens) -> Agent:
    agent = tokens.agent()
    assert agent.register() == (201, "")
    return agent


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_leaves_the_token_and_the_nonce_as_they_are(tokens: Tokens, name: str) -> None:
    changes, sentence = REFUSED[name]
    agent = tokens.agent()
    good = dict(agent.asked)
    agent.asked |= changes(tokens)
    assert agent.register() == sentence
    agent.asked = good
    assert agent.register() == (201, "")


def test_a_token_is_for_its_handle_where_it_names_one(tokens: Tokens) -> None:
    token = tokens.issue(resource_handle="gw-1")
    assert tokens.agent(token).register() == (404, "resource_not_found")
    assert tokens.agent(token, resource_handle="gw-1").register() == (201, "")


def test_a_token_ends_with_its_time(stack: Stack, tokens: Tokens) -> None:
    agent = tokens.agent()
    run_sql(
        stack.dsn,
        "UPDATE plexsphere.bootstrap_tokens SET expires_at = now() WHERE domain_id = %s",
        (tokens.domain_id,),
    )
    assert agent.register() == (403, "token_expired")


def test_a_token_ends_with_the_role_of_its_issuer(stack: Stack, tokens: Tokens) -> None:
    editor, domain = f"user:{uuid4().hex}", f"domain:{tokens.domain_id}"
    role = (editor, "domain-edit", domain)
    assert change_role(stack, "grant", *role).exit_code == 0
    token = tokens.issue(editor)
    assert change_role(stack, "revoke", *role).exit_code == 0
    assert tokens.agent(token).register() == (403, "token_revoked")
    assert change_role(stack, "grant", *role).exit_code == 0
    assert tokens.agent(token).register() == (201, "")


def test_the_command_prints_a_token_that_enrols(stack: Stack, tokens: Tokens) -> None:
    operator = {"PLEXSPHERE_OPERATOR_TOKEN": stack.token(OPERATOR), "PLEXSPHERE_URL": stack.url}
    asked = ("enrol", "token", "--domain", tokens.domain_id, "--ttl", "5m")
    for project in ([], ["--project", PROJECT]):
        printed = run(*asked, *project, **operator)
        assert printed.exit_code == 0, printed.stderr
        named = PROJECT if project else printed.stderr.strip().removeprefix("project ")
        agent = Agent(stack.url, printed.stdout.strip(), named)
        assert agent.register() == (201, "")
    stranger = {**operator, "PLEXSPHERE_OPERATOR_TOKEN": stack.token("user:stranger")}
    refused = run(*asked, **stranger)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert "403 insufficient_relation" in refused.stderr
