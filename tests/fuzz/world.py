"""What exists on the other side: ids, tokens, tags, and what a pull of each Node has to show."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from composer.deadline import Deadline
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.writer import RelationTuple, TupleWriter
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.fuzz.exchange import CONTRACT
from tests.oracle import NoBodyError, expected_value

# Its agent has the relation and the ledger has no such Node: the one way to a 404.
GHOST = "0190ffff-0000-7000-8000-00000000dead"
OPERATOR = "user:operator"


@dataclass(frozen=True, slots=True)
class World:
    """Handed to the process that fuzzes as a file.

    `tokens` are of each Node's own agent, the ghost's included; `digests` are of the snapshots an
    agent must get; `etags` by request path.
    """

    tokens: Mapping[str, str]
    digests: Mapping[str, str]
    stranger: str
    etags: Mapping[str, str] = field(default_factory=dict)

    @property
    def node_ids(self) -> list[str]:
        return list(self.digests)

    def save(self, folder: Path) -> None:
        """With the dictionaries that schemathesis.toml names, one quoted text a line."""
        (folder / "world.json").write_text(json.dumps(asdict(self)))
        for name, texts in (
            ("ids.txt", [*self.node_ids, GHOST]),
            ("etags.txt", [*self.etags.values(), "*"]),
        ):
            (folder / name).write_text("".join(f"{json.dumps(text)}\n" for text in texts))

    @classmethod
    def load(cls, file: Path) -> World:
        return cls(**json.loads(file.read_text()))


def snapshot_digest(value: Mapping[str, Any]) -> str:
    """Of a whole snapshot, key order included, but for what a heartbeat moves."""
    kept = {name: block for name, block in value.items() if name != "reachability"}
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def world_of(stack: Stack) -> World:
    """The sample Domain as the second implementation reads it from the ledger."""
    documented = document_example(stack)
    ids = [str(stack.sample.node_id(number)) for number in range(stack.sample.nodes)]
    grant(stack, GHOST, documented)
    connection = psycopg2.connect(stack.dsn)
    try:
        digests = {}
        for node_id in [documented, *ids]:
            try:
                digests[node_id] = snapshot_digest(expected_value(connection, node_id))
            except NoBodyError:  # a row the sample corrupts on purpose has no pull
                continue
    finally:
        connection.close()
    tokens = {one: stack.token(f"node:{one}") for one in (*digests, GHOST)}
    return World(tokens, digests, stack.token(OPERATOR), etags_of(stack, digests, tokens))


def etags_of(stack: Stack, ids: Mapping[str, str], tokens: Mapping[str, str]) -> dict[str, str]:
    """Tags that match, for `If-None-Match`: of a few Nodes and of the page's files."""
    paths = {pull_path(one): bearer(tokens[one]) for one in list(ids)[:8]}
    paths |= {"/docs/page.js": {}, "/docs/page.css": {}}
    replies = {path: ask(stack.url, path, headers) for path, headers in paths.items()}
    return {path: reply.headers["etag"] for path, reply in replies.items()}


def document_example(stack: Stack) -> str:
    """The id the contract gives as its example, made a Node of the sample Domain."""
    example = str(CONTRACT.document["components"]["parameters"]["NodeId"]["example"])
    connection = psycopg2.connect(stack.dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO plexsphere.nodes (id, domain_id, name, mesh_ip, public_key)"
                " VALUES (%s, %s, 'documented', '10.42.250.1', %s) ON CONFLICT DO NOTHING",
                (example, str(stack.sample.domain_id), hashlib.sha256(b"documented").digest()),
            )
    finally:
        connection.close()
    return example


def grant(stack: Stack, *node_ids: str) -> None:
    """Each its own agent in SpiceDB, whether the ledger has it or not."""
    env = stack.env
    endpoint = SpiceDbEndpoint(
        env["PLEXSPHERE_SPICEDB_ENDPOINT"], env["PLEXSPHERE_SPICEDB_TOKEN"], insecure=True
    )
    channel = SpiceDbChannel(endpoint, timeout=10.0)
    try:
        tuples = [RelationTuple(f"node:{one}", "agent", f"node:{one}") for one in node_ids]
        TupleWriter(channel).touch(tuples, Deadline.after(30.0, time.monotonic))
    finally:
        channel.close()
