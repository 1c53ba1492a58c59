"""A story over sockets: what was asked, what came back, and what the audit has to say of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple

import psycopg2
from typer.testing import Result

from server.dev.stack import Stack
from tests.bodies import JSON, example_body
from tests.client import Reply, ask, bearer, pull_path
from tests.oracle import expected_body
from tests.role_commands import command

OPERATOR, AUDITOR = "user:operator", "user:story-auditor"
# What the story itself leaves beside its requests: reading the audit, and the command that lets it.
ASIDE = {"domain_audit.read", "role.grant"}


class Row(NamedTuple):
    """A row of the audit but for when; ``digest`` is that of the snapshot which was granted."""

    mark: str
    relation: str
    outcome: str
    subject: str
    about: str
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A Node as its registration said it is; ``token`` is its own."""

    node_id: str
    mesh_ip: str
    public_key: str
    token: str = field(repr=False)

    @property
    def triple(self) -> dict[str, str]:
        return {
            "node_id": self.node_id,
            "mesh_ip": self.mesh_ip,
            "public_key": self.public_key,
        }


class Story:
    """Asks, and remembers each outcome that must leave an audit row."""

    def __init__(self, stack: Stack) -> None:
        assert stack.test_clock is not None
        self.stack = stack
        self.time = stack.test_clock
        self.recorded: list[Row] = []
        self._numbers = count(1)

    def tell(
        self,
        method: str,
        path: str,
        token: str,
        value: Mapping[str, Any] | None = None,
        audit: tuple[str, str, str, str] | None = None,
    ) -> Reply:
        """One request; ``audit`` is the row it must leave: relation, outcome, subject, object."""
        mark = f"story-{next(self._numbers)}"
        body = None if value is None else json.dumps(value).encode()
        headers = {**bearer(token), "X-Correlation-Id": mark, **(JSON if body else {})}
        reply = ask(self.stack.url, path, headers, method=method, body=body)
        if audit is not None:
            assert reply.status < 300 or "{" not in audit[-1], reply.body
            relation, outcome, subject, about = audit
            named = about.format_map(reply.json) if "{" in about else about
            shown = reply.headers.get("etag", "").removeprefix("W/").strip('"') or None
            self.recorded.append(Row(mark, relation, outcome, subject, named, shown))
        return reply

    def by_operator(
        self, method: str, path: str, relation: str, about: str, value: Any = None
    ) -> Reply:
        """Granted to the platform's manager; ``about`` may name members of the answer."""
        token = self.stack.token(OPERATOR)
        return self.tell(method, path, token, value, (relation, "granted", OPERATOR, about))

    def register(self, domain_id: str, number: int) -> tuple[Member, Reply]:
        """The ``number``-th Node of the story."""
        key = base64.b64encode(hashlib.sha256(f"story {number}".encode()).digest()).decode()
        reply = self.by_operator(
            "POST",
            f"/v1/domains/{domain_id}/nodes",
            "node.register",
            "node:{node_id}",
            {"public_key": key, "name": f"story-{number}"},
        )
        assert reply.status == 201, reply.body
        made = reply.json
        return Member(made["node_id"], made["mesh_ip"], key, made["token"]), reply

    def beat(self, member: Member) -> Reply:
        """A heartbeat by the clock of the story; it leaves no row."""
        value = {**(example_body("PostNodeHeartbeat") or {})}
        value["client_now"] = self.time.now().isoformat()
        return self.tell("POST", f"/v1/nodes/{member.node_id}/heartbeat", member.token, value)

    def own(
        self, member: Member, method: str, rest: str, relation: str, value: Any = None
    ) -> Reply:
        """Granted to the Node's own agent."""
        subject = f"node:{member.node_id}"
        path = f"/v1/nodes/{member.node_id}{rest}"
        return self.tell(method, path, member.token, value, (relation, "granted", subject, subject))

    def pull(self, member: Member) -> Any:
        """The snapshot, byte for byte what the second implementation reads from the ledger."""
        reply = self.own(member, "GET", "/state", "node_state.pull")
        assert reply.status == 200, reply.body
        connection = psycopg2.connect(self.stack.dsn)
        try:
            assert reply.body == expected_body(connection, member.node_id)
        finally:
            connection.close()
        return reply.json

    def refused_pull(self, member: Member) -> Reply:
        """A pull that is no longer granted; a 403 leaves a row."""
        subject = f"node:{member.node_id}"
        reply = self.tell("GET", pull_path(member.node_id), member.token)
        if reply.status == 403:
            mark = reply.headers["x-correlation-id"]
            row = Row(mark, "node_state.pull", "insufficient_relation", subject, subject)
            self.recorded.append(row)
        return reply

    def pass_time(self, seconds: int) -> None:
        """Time goes on for service and evaluator, and the evaluator looks."""
        self.time.forward(seconds)
        assert self.command("evaluator", "--once").exit_code == 0

    def command(self, *words: str) -> Result:
        """Of ``plexsphere-state``, with the stack's own settings."""
        return command(self.stack, *words)

    def audited(self, domain_id: str, token: str) -> list[Row]:
        """Every row of the story that the auditor is shown, page by page in sequence order; by the
        moment they are of. There are no others."""
        rows: list[tuple[datetime, int, Row]] = []
        sequence: list[int] = []
        cursor = ""
        while True:
            path = f"/v1/domains/{domain_id}/audit?limit=100{cursor}"
            page = ask(self.stack.url, path, bearer(token)).json
            for item in page["items"]:
                sequence.append(item["seq"])
                if item["relation"] in ASIDE:
                    continue
                names = ("correlation_id", "relation", "outcome", "subject", "object")
                row = Row(*(item[name] for name in names), item.get("digest"))
                rows.append((datetime.fromisoformat(item["occurred_at"]), item["seq"], row))
            if "next_cursor" not in page:
                assert sequence == sorted(set(sequence))
                return [row for _, _, row in sorted(rows)]
            cursor = f"&cursor={page['next_cursor']}"
