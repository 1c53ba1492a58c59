"""Objects of the writes: Domains and Nodes of their own, so that the sample stays as the digests
of the world say it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes, token_hex
from uuid import UUID

from composer.enrolment import bootstrap_token_text
from composer.entries import KINDS
from composer.identity import PLATFORM
from server.authz.tuples import RelationTuple
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.bodies import example_body
from tests.ledger_sql import run_sql

# Nodes and Domains for the directed cases; what Schemathesis removes, `supply.py` makes.
REMOVABLE = 8
PUTS = ("PutNodeStateReport", "PutNodeMetadata", "PutNodeData")
REMOVALS = ("DeleteNodeStateReport", "DeleteNodeMetadata", "DeleteNodeData")
REVOKE = "RevokeNodeCredentials"
IN_HOME = ("RegisterNode", "PatchDomain")
WRITES = ("DeleteNode", "RotateNodeKey", REVOKE, *IN_HOME, "DeleteDomain", *PUTS, *REMOVALS)
PROJECT = (example_body("PostRegister") or {})["project_id"]
# Of the keys that entries are put under, and as many as a Node may hold of a kind unless it is set.
KEYS = ("a", "disk.root", "k" * 128, "z-9_0.")
QUOTA = 128


@dataclass(frozen=True, slots=True)
class Scratch:
    """``home`` takes registrations and changes, ``full`` has no address left; ``keys`` are of
    ``rotating``, the last of which keeps its own. Entries are put on the first two of ``holding``,
    removed from the third, which has one of each kind under the first of ``held``, and do not fit
    on the last. ``tokens`` are bootstrap tokens by their state; ``mark`` is of this run alone."""

    home: str = ""
    full: str = ""
    rotating: Sequence[str] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    nodes: Sequence[str] = ()
    domains: Sequence[str] = ()
    mark: str = ""
    holding: Sequence[str] = ()
    held: Sequence[str] = ()
    tokens: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> set[str]:
        made = (*self.rotating, *self.nodes, *self.domains, *self.holding)
        return {self.home, self.full, *made}

    def objects(self, name: str) -> Sequence[str]:
        """The objects at which an operation that writes is directed."""
        if name in IN_HOME:
            return [self.home]
        if name == "RotateNodeKey":
            return self.rotating[:-1]
        if name == REVOKE:  # no case needs the credentials of this Node
            return self.nodes[-1:]
        if name in (*PUTS, *REMOVALS):
            return self.holding[:2] if name in PUTS else self.holding[2:]
        return self.nodes if name == "DeleteNode" else self.domains


def _id(kind: int, number: int) -> str:
    return str(UUID(int=(0x0190_FFFF << 96) | (7 << 76) | (2 << 62) | (kind << 32) | number))


def scratch_of(stack: Stack) -> tuple[Scratch, Iterator[RelationTuple]]:
    """The rows, in the ledger, and the tuples that SpiceDB must have of them."""
    home, full = _id(1, 1), _id(1, 2)
    domains = [_id(2, number) for number in range(REMOVABLE)]
    nodes = [_id(3, number) for number in range(REMOVABLE)]
    rotating = [_id(4, number) for number in range(4)]
    lodged = [_id(5, number) for number in range(2)]
    holding = [_id(6, number) for number in range(4)]
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.domains (id, name, mesh_cidr) VALUES"
        " (%s, 'Home', 'fd00:f::/64'), (%s, 'Full', '10.201.0.0/30')",
        (home, full),
    )
    run_sql(
        stack.dsn,
        "INSERT INTO plexsphere.domains (id, name) SELECT unnest(%s::uuid[]), 'Scratch'",
        (domains,),
    )
    for of_nodes, domain, first in (
        (nodes, home, "fd00:f::8000:0"),
        (rotating, home, "fd00:f::9000:0"),
        (holding, home, "fd00:f::a000:0"),
        (lodged, full, "10.201.0.1"),
    ):
        run_sql(
            stack.dsn,
            "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
            " SELECT u.id, %s, %s::inet + (u.n - 1), sha256(u.id::text::bytea)"
            " FROM unnest(%s::uuid[]) WITH ORDINALITY AS u (id, n)",
            (domain, first, of_nodes),
        )
    keys = run_sql(
        stack.dsn,
        "SELECT id::text, encode(public_key, 'base64') FROM plexsphere.nodes"
        " WHERE id = ANY (%s::uuid[])",
        (rotating,),
    )
    held = [f"held.{number}" for number in range(QUOTA)]
    for node, under in ((holding[2], held[:REMOVABLE]), (holding[3], held)):
        run_sql(
            stack.dsn,
            "INSERT INTO plexsphere.node_state_entries (node_id, kind, key, value)"
            " SELECT %s, kind, key, 'held' FROM unnest(%s) AS kind, unnest(%s) AS key",
            (node, list(KINDS), under),
        )
    mark = token_hex(8)
    tokens = _bootstrap_tokens(stack, home, full)
    made = Scratch(home, full, rotating, dict(keys), nodes, domains, mark, holding, held, tokens)
    return made, _tuples(made)


def _bootstrap_tokens(stack: Stack, home: str, full: str) -> Mapping[str, str]:
    """The text of a token in each state, and the rows. The consumed one has the nonce ``used``."""
    states = {
        "free": (home, OPERATOR, None, 3_600, None),
        "unused": (home, OPERATOR, None, 3_600, None),
        "of nobody": (home, "user:nobody", None, 3_600, None),
        "expired": (home, OPERATOR, None, -1, None),
        "consumed": (home, OPERATOR, None, 3_600, sha256(b"used").digest()),
        "of a handle": (home, OPERATOR, "another", 3_600, None),
        "full": (full, OPERATOR, None, 3_600, None),
    }
    texts = {}
    for number, (state, (domain, issuer, handle, seconds, nonce)) in enumerate(states.items()):
        token, secret = _id(7, number), token_bytes(32)
        texts[state] = bootstrap_token_text(UUID(token), secret)
        run_sql(
            stack.dsn,
            "INSERT INTO plexsphere.bootstrap_tokens (id, domain_id, digest, project_id,"
            " resource_handle, issuer, issued_at, expires_at, consumed_at, node_id, nonce_digest)"
            " SELECT t.id, t.domain_id, t.digest, t.project_id, t.handle, t.issuer, now(),"
            " now() + make_interval(secs => t.seconds), CASE WHEN t.nonce IS NOT NULL THEN now()"
            " END, CASE WHEN t.nonce IS NOT NULL THEN t.id END, t.nonce FROM (SELECT %s::uuid,"
            " %s::uuid, %s::bytea, %s::uuid, %s::text, %s::text, %s::float8, %s::bytea)"
            " AS t (id, domain_id, digest, project_id, handle, issuer, seconds, nonce)",
            (token, domain, sha256(secret).digest(), PROJECT, handle, issuer, seconds, nonce),
        )
    return texts


def _tuples(made: Scratch) -> Iterator[RelationTuple]:
    for domain in (made.home, made.full, *made.domains):
        yield RelationTuple(f"domain:{domain}", "platform", PLATFORM)
    for node in (*made.nodes, *made.rotating, *made.holding):
        yield RelationTuple(f"node:{node}", "domain", f"domain:{made.home}")
        yield RelationTuple(f"node:{node}", "agent", f"node:{node}")
