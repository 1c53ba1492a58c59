"""The objects of the service: ids, tokens, tags, and the snapshot of each Node."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from composer.deadline import Deadline
from composer.identity import PLATFORM
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.tuples import RelationTuple, TupleWriter
from server.dev.sample import AUDITOR, OPERATOR
from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path
from tests.contract.tables import AUTHZ
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.scratch import KEYS, Scratch, scratch_of
from tests.ledger_sql import run_sql
from tests.oracle import expected_value
from tests.oracle_rows import NoBodyError
from tests.tokens import ed25519_key, token

# Its agent has the relation and the ledger has no such Node: the one way to a 404.
GHOST = "0190ffff-0000-7000-8000-00000000dead"
GHOST_DOMAIN = "0190ffff-0000-7000-8000-0000000d0e1f"
# In no ledger.
NOWHERE = "0190ffff-0000-7000-8000-00000000ffff"
# Has a token and no relation to anything.
STRANGER = "user:stranger"
# A run of a hundred thousand cases for each operation takes days, and a token is good for one.
TOKENS_S = 60 * 24 * 3600
REMEMBERED = 1_000
EVERYTHING = "SELECT id::text FROM plexsphere.nodes UNION SELECT id::text FROM plexsphere.domains"


@dataclass(frozen=True, slots=True)
class World:
    """Handed to the process that fuzzes as a file.

    `tokens` are of each Node's own agent, the ghost's included; `digests` are of the snapshots an
    agent must get; `etags` by request path. `operator` holds every role but the auditor's. `kept`
    is whatever stands in the ledger before the run: no case may write to it. `made` are the tokens
    of the Nodes that this run's registrations were answered with, the latest of them.
    """

    tokens: Mapping[str, str]
    digests: Mapping[str, str]
    stranger: str
    operator: str = ""
    auditor: str = ""
    domain_ids: Sequence[str] = ()
    etags: Mapping[str, str] = field(default_factory=dict)
    scratch: Scratch = field(default_factory=Scratch)
    kept: Sequence[str] = ()
    foreign: str = ""
    made: dict[str, str] = field(default_factory=dict)

    @property
    def node_ids(self) -> list[str]:
        return list(self.digests)

    def permitted(self, name: str, object_id: str) -> str | None:
        """The token of who may do an operation on an object; None where nobody may.

        The operator may whatever the object is, also where a case has made it.
        """
        relation = AUTHZ.get(name)
        own = self.tokens.get(object_id) or self.made.get(object_id)
        if relation == "node-agent" or (relation == "node-view" and own):
            return own
        if relation == "auditor":
            return self.auditor or None
        return (relation and self.operator) or None

    def learn(self, name: str, answer: Mapping[str, Any] | None) -> None:
        """To be told of every answer: a registration's has the Node's token."""
        if name == "RegisterNode" and answer and {"node_id", "token"} <= answer.keys():
            self.made[str(answer["node_id"])] = str(answer["token"])
            if len(self.made) > REMEMBERED:
                del self.made[next(iter(self.made))]

    def save(self, folder: Path) -> None:
        """With the dictionaries that schemathesis.toml names, one quoted text a line."""
        (folder / "world.json").write_text(json.dumps(asdict(self)))
        for name, texts in (
            ("ids.txt", [*self.node_ids, GHOST]),
            # few as they are, the ghost would be every fourth
            ("domain_ids.txt", [*(3 * list(self.domain_ids)), GHOST_DOMAIN]),
            ("keys.txt", KEYS),
            ("etags.txt", [*self.etags.values(), "*"]),
        ):
            (folder / name).write_text("".join(f"{json.dumps(text)}\n" for text in texts))

    @classmethod
    def load(cls, file: Path) -> World:
        message = json.loads(file.read_text())
        return cls(**message | {"scratch": Scratch(**message["scratch"])})


def snapshot_digest(value: Mapping[str, Any]) -> str:
    """Of a whole snapshot, key order included, but for what a heartbeat moves."""
    kept = {name: block for name, block in value.items() if name != "reachability"}
    text = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def world_of(stack: Stack) -> World:
    """The sample Domain as the second implementation reads it from the ledger."""
    documented, documented_domain = document_examples(stack)
    scratch, of_scratch = scratch_of(stack)
    ids = [str(stack.sample.node_id(number)) for number in range(stack.sample.nodes)]
    grant(
        stack,
        *(
            RelationTuple(f"node:{node_id}", "agent", f"node:{node_id}")
            for node_id in (GHOST, documented)
        ),
        RelationTuple(f"domain:{documented_domain}", "platform", PLATFORM),
        RelationTuple(f"domain:{documented_domain}", "audit_reader", AUDITOR),
        RelationTuple(f"domain:{stack.sample.ipv6_domain_id}", "audit_reader", AUDITOR),
        RelationTuple(f"domain:{GHOST_DOMAIN}", "editor", OPERATOR),
        RelationTuple(f"domain:{GHOST_DOMAIN}", "audit_reader", AUDITOR),
        RelationTuple(f"node:{GHOST}", "domain", f"domain:{GHOST_DOMAIN}"),
        *of_scratch,
    )
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
    named = (*digests, GHOST, *scratch.rotating, *scratch.holding)
    tokens = {node_id: stack.token(f"node:{node_id}", ttl=TOKENS_S) for node_id in named}
    return World(
        tokens,
        digests,
        *(stack.token(subject, ttl=TOKENS_S) for subject in (STRANGER, OPERATOR, AUDITOR)),
        [documented_domain, str(stack.sample.domain_id), str(stack.sample.ipv6_domain_id)],
        etags_of(stack, digests, tokens),
        scratch,
        [object_id for (object_id,) in run_sql(stack.dsn, EVERYTHING)],
        foreign=token(ed25519_key("elsewhere")),
    )


def etags_of(stack: Stack, ids: Mapping[str, str], tokens: Mapping[str, str]) -> dict[str, str]:
    """Tags that match, for `If-None-Match`: of a few Nodes and of the page's files."""
    paths = {pull_path(node_id): bearer(tokens[node_id]) for node_id in list(ids)[:8]}
    paths |= {"/docs/page.js": {}, "/docs/page.css": {}}
    replies = {path: ask(stack.url, path, headers) for path, headers in paths.items()}
    return {path: reply.headers["etag"] for path, reply in replies.items()}


def document_examples(stack: Stack) -> tuple[str, str]:
    """The ids the contract gives as its examples, made a Node of the sample Domain and a Domain."""
    parameters = CONTRACT.document["components"]["parameters"]
    node, domain = (str(parameters[name]["example"]) for name in ("NodeId", "DomainId"))
    connection = psycopg2.connect(stack.dsn)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO plexsphere.nodes (id, domain_id, name, mesh_ip, public_key)"
                " VALUES (%s, %s, 'documented', '10.42.250.1', %s)",
                (node, str(stack.sample.domain_id), hashlib.sha256(b"documented").digest()),
            )
            cursor.execute(
                "INSERT INTO plexsphere.domains (id, name, slug, description, region, mesh_cidr)"
                " VALUES (%s, 'Documented', 'documented', 'As in the contract.', 'eu-central',"
                " '10.200.0.0/16')",
                (domain,),
            )
    finally:
        connection.close()
    return node, domain


def grant(stack: Stack, *tuples: RelationTuple) -> None:
    """In SpiceDB, whether the ledger knows of it or not."""
    env = stack.env
    endpoint = SpiceDbEndpoint(
        env["PLEXSPHERE_SPICEDB_ENDPOINT"], env["PLEXSPHERE_SPICEDB_TOKEN"], insecure=True
    )
    channel = SpiceDbChannel(endpoint, timeout=10.0)
    try:
        TupleWriter(channel).touch(tuples, Deadline.after(30.0, time.monotonic))
    finally:
        channel.close()
