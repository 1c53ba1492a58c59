"""A test build: the parts behind the application, and the one breach that is switched on in it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from composer.entries import KINDS
from composer.errors import AuthzUnavailable, CorruptLedger, DatastoreUnavailable, KeysUnavailable
from composer.identity import Principal, PrincipalKind
from composer.reachability import ReachabilityRow
from composer.registry import Domain
from handlers.service import HealthCheck
from tests import factories as make
from tests.client import bearer, pull_path
from tests.credential_fakes import FakeEventKeys, FakeNodeCredentials, FakePublishedKeys
from tests.domain_fakes import FakeDomainAuditReader, FakeDomainReader
from tests.enrolment_fakes import FakeBootstrapTokens
from tests.fakes import FakeAuditSink, FakeHealthProbe, FakeLastAnswers
from tests.fuzz import directed as cases
from tests.fuzz.breached_ports import Domains, Ledgers, Nodes, PlainMint, Roles
from tests.fuzz.breached_service import Edit, Edited, Wsgi, ask, provisioned
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.scratch import Scratch
from tests.fuzz.world import GHOST, World, snapshot_digest
from tests.fuzz.write_checks import subject_of
from tests.node_fakes import (
    FakeEntryStore,
    FakeHeartbeatSink,
    FakeOutboxRelay,
    FakeReachabilityRepo,
)
from tests.ports.wired import fakes
from tests.registry_fakes import FakeDomainRegistry, FakeNodeRegistry

SAMPLE, FULL_RANGE = 6, "10.201.0.0/30"
PARAMETERS = CONTRACT.document["components"]["parameters"]
EXAMPLE, DOCUMENTED = (UUID(PARAMETERS[name]["example"]) for name in ("NodeId", "DomainId"))
HOME, FULL, *SPARE = (UUID(int=make.DOMAIN.int + number) for number in range(1, 7))
DOWN = [HealthCheck("postgres", "down", "does not answer")]
QUOTA = 3
USERS = ("stranger", "operator", "auditor")


class Build:
    """The parts, good ones until a breach swaps them; and whatever else a breach switches.

    A Domain of six Nodes for the reads, and for the writes one of what `Scratch` speaks of.
    """

    def __init__(self) -> None:
        vars(self).update(fakes())
        ids = [EXAMPLE, *(make.node_id(number) for number in range(1, SAMPLE))]
        scratch = [make.node_id(number) for number in range(20, 32)]
        full = [make.node_id(number) for number in (40, 41)]
        self.ids = [str(node_id) for node_id in ids]
        self.scratch = _scratch(scratch)
        self.node_registry = FakeNodeRegistry(
            {make.DOMAIN: "10.42.0.0/16", HOME: "10.43.0.0/16", FULL: FULL_RANGE},
            nodes={
                node_id: (domain, make.key_bytes(number), f"{network}.{number + 1}")
                for domain, network, those in (
                    (make.DOMAIN, "10.42.0", ids),
                    (HOME, "10.43.0", scratch),
                    (FULL, "10.201.0", full),
                )
                for number, node_id in enumerate(those)
            },
        )
        documented = Domain(
            *(DOCUMENTED, "Documented", "documented", None, None),
            *("10.200.0.0/16", make.EPOCH, make.EPOCH),
        )
        others = (make.DOMAIN, HOME, FULL, *SPARE)
        bare = replace(documented, slug=None, mesh_cidr=None)
        self.domain_reader = FakeDomainReader(
            {
                DOCUMENTED: documented,
                **{domain_id: replace(bare, id=domain_id) for domain_id in others},
            }
        )
        self.domain_registry = FakeDomainRegistry(self.domain_reader, {make.DOMAIN, HOME, FULL})
        self.sink = FakeAuditSink()
        self.relations = Roles()
        self.nodes, self.domains = Nodes(self.node_registry), Domains(self.domain_reader)
        self.ledger = self.domain_nodes = Ledgers(
            self.node_registry,
            self.domain_reader,
            {
                "rule_sets": (make.rule_set(1, make.ALLOW_HTTPS),),
                "bridge_rows": make.bridge_rows(assignments=(make.assignment(2),)),
                "entry_rows": (make.entry("metadata", "region"), make.entry("report", "disk")),
            },
        )
        self.heartbeats = FakeHeartbeatSink({*ids}, datetime.now(UTC))
        self.reachability = FakeReachabilityRepo(
            dict.fromkeys(ids, ReachabilityRow("healthy", make.EPOCH, make.EPOCH))
        )
        held = {
            (UUID(node), kind, key): make.entry(kind, key)
            for node, number in zip(self.scratch.holding[2:], (QUOTA - 1, QUOTA), strict=True)
            for kind in KINDS
            for key in self.scratch.held[:number]
        }
        known = {node_id: row[0] for node_id, row in self.node_registry.nodes.items()}
        self.entries = FakeEntryStore(known, quota=QUOTA, rows=held)
        self.domain_audit, self.mint = FakeDomainAuditReader(), PlainMint()
        self.event_keys = FakeEventKeys(set(self.node_registry.ranges))
        self.last_answers = FakeLastAnswers(is_enabled=False)  # off, as in the campaign
        self.outbox, self.published = FakeOutboxRelay(), FakePublishedKeys()
        self.credentials = FakeNodeCredentials(dict.fromkeys(ids, ()))
        self.bootstrap_tokens = FakeBootstrapTokens(self.node_registry)
        for store in (self.node_registry, self.domain_registry, self.entries, self.credentials):
            store.audit = self.sink  # a write stores its own row
        self.health = FakeHealthProbe([HealthCheck("postgres", "ok", "answers")])
        self.authenticate: Callable[[list[str]], Principal | None] = by_token
        self.rewrite: Callable[[dict[str, Any]], None] = lambda environ: None
        self.edit: Edit = lambda shown: None
        # whether the requests of now meet a service without a ledger
        self.bare = False
        # what the runtime validation says of edited answers: the breach's rule, or None
        self.at_runtime: set[str | None] = set()

    def application(self) -> Wsgi:
        """The one application, in front of this build's parts."""
        return Edited(provisioned(), self)

    @contextmanager
    def in_state(self, service: str) -> Iterator[bool]:
        """As a directed case wants it; False where this build has no such state."""
        sound, by_key = self.health.given, self.authenticate
        postgres = (self.nodes, self.domains, self.ledger, self.node_registry, self.domain_registry)
        stores = (*postgres, self.domain_reader, self.entries, self.reachability, self.domain_audit)
        written = (*stores, self.heartbeats, self.credentials, self.bootstrap_tokens)
        failing: dict[str, tuple[tuple[Any, ...], Exception]] = {
            cases.NO_POSTGRES: (written, DatastoreUnavailable("refused")),
            cases.NO_SPICEDB: ((self.relations, self.outbox), AuthzUnavailable("refused")),
            cases.CORRUPT: ((self.ledger,), CorruptLedger("fingerprint_mismatch")),
        }
        parts, fault = failing.get(service, ((), None))
        for part in parts:
            part.fails = fault
        if service in (cases.NO_POSTGRES, cases.NO_SPICEDB):
            self.health.given = DOWN
        if service == cases.NO_KEYS:
            self.authenticate = without_keys
        self.bare = service == cases.UNPROVISIONED
        try:
            yield service in (*failing, cases.LIVE, cases.UNPROVISIONED, cases.NO_KEYS)
        finally:
            self.bare, self.health.given, self.authenticate = False, sound, by_key
            for part in parts:
                part.fails = None

    def world(self) -> World:
        """As the sound application shows it; call before a breach is switched on."""
        application = self.application()
        own = (*self.ids, GHOST, *self.scratch.rotating, *self.scratch.holding)
        tokens = {node_id: f"agent-{node_id}" for node_id in own}
        digests, etags = {}, {}
        for node_id in self.ids:
            reply = ask(application, pull_path(node_id), bearer(tokens[node_id]))
            digests[node_id] = snapshot_digest(reply.json)
            etags[pull_path(node_id)] = reply.headers["etag"]
        for path in ("/docs/page.js", "/docs/page.css"):
            etags[path] = ask(application, path).headers["etag"]
        return World(
            tokens,
            digests,
            *("stranger", "operator", "auditor"),
            domain_ids=[str(DOCUMENTED), str(make.DOMAIN)],
            etags=etags,
            scratch=self.scratch,
            kept=[
                str(node_id) for node_id in (*self.node_registry.nodes, *self.domain_reader.rows)
            ],
        )


def _scratch(ids: list[UUID]) -> Scratch:
    names = [str(object_id) for object_id in ids]
    key = base64.b64encode(make.key_bytes(3)).decode()
    return Scratch(
        *(str(HOME), str(FULL)),
        rotating=names[:4],
        keys={names[3]: key},
        holding=names[4:8],
        nodes=names[8:],
        domains=[str(domain_id) for domain_id in SPARE],
        mark="breaches",
        held=[f"held.{number}" for number in range(QUOTA)],
    )


def by_token(given: list[str]) -> Principal | None:
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    if scheme != "Bearer":
        return None
    if token in USERS:
        return Principal(PrincipalKind.USER, token)
    minted = (subject_of(token) or "").removeprefix("node:")
    own = minted or (token.removeprefix("agent-") if token.startswith("agent-") else "")
    return Principal(PrincipalKind.NODE, own) if own else None


def without_keys(given: list[str]) -> Principal | None:
    raise KeysUnavailable("refused")
