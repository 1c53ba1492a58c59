"""The service that is asked: ``FakeService``, its world put back before every case.

Everything that depends on how ``FakeService`` is made stands in ``fake_service`` and ``PORTS``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from composer.audit import AuditRecord
from composer.identity import AddressedDomain
from handlers.operation import AnyOperation
from tests.factories import (
    ALLOW_HTTPS,
    DOMAIN,
    EPOCH,
    addressed,
    entry,
    node_id,
    rule_set,
)
from tests.ports.in_process import FakeService

NODE_TOKEN, DOMAIN_TOKEN = "token-of-the-node", "token-of-the-domain"
Operations = Mapping[str, AnyOperation]
# The attributes of FakeService that are fakes of ports.
PORTS = (
    "relations",
    "nodes",
    "domains",
    "domain_reader",
    "domain_audit",
    "ledger",
    "drops",
    "heartbeats",
    "reachability",
    "entries",
    "domain_nodes",
    "domain_registry",
    "node_registry",
    "credentials",
    "secret_keys",
    "bootstrap_tokens",
    "event_keys",
    "outbox",
    "mint",
    "events",
    "audit",
    "limits",
    "keys",
    "last_answers",
    "health",
    "published",
)
# What a service can be: with everything, without a key to sign tokens with, without the key that
# encrypts event keys, without a ledger.
WHOLE, UNSIGNED, UNPROVISIONED = "whole", "without a signing key", "not provisioned"
WITHOUT_EVENT_KEYS = "without event keys"
KINDS = (WHOLE, UNSIGNED, WITHOUT_EVENT_KEYS, UNPROVISIONED)


def fake_service(kind: str, operations: Operations | None = None) -> FakeService:
    """A service of one of the kinds; ``operations`` take the place of some."""
    return FakeService(
        provisioned=kind != UNPROVISIONED,
        has_signing_key=kind in (WHOLE, WITHOUT_EVENT_KEYS),
        has_event_keys=kind in (WHOLE, UNSIGNED),
        operations=operations,
    )


@dataclass(frozen=True, slots=True)
class Resettable:
    """A service, and the state that each case begins with."""

    service: FakeService
    state: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, kind: str, operations: Operations | None = None) -> Resettable:
        """A sound world: tokens on every row, three audit rows, three Nodes in the list."""
        service = fake_service(kind, operations)
        _furnish(service)
        ports = {name: port for name in PORTS if (port := getattr(service, name)) is not None}
        state = {name: dict(vars(port)) for name, port in ports.items()}
        return cls(service, state)

    def reset(self) -> FakeService:
        """The service in a sound world."""
        for name, fields in self.state.items():
            port = getattr(self.service, name)
            for field, value in fields.items():
                is_container = isinstance(value, (dict, list, set))
                setattr(port, field, copy.copy(value) if is_container else value)
        return self.service


def _furnish(service: FakeService) -> None:
    service.relations.grants = set()
    service.nodes.nodes = {node_id(n): addressed(n, NODE_TOKEN) for n in (1, 2, 3)}
    service.domains.domains = {DOMAIN: AddressedDomain(DOMAIN, DOMAIN_TOKEN)}
    service.heartbeats.now = EPOCH
    service.heartbeats.tokens = {node_id(n): NODE_TOKEN for n in (1, 2, 3)}
    service.ledger.shown = replace(
        service.ledger.shown,
        rule_sets=(rule_set(1, ALLOW_HTTPS),),
        entry_rows=(entry("metadata", "rack", "7"),),
    )
    service.domain_audit.rows = {
        DOMAIN: [
            AuditRecord(seq, EPOCH, relation, outcome, "user:ada", about, "c-1", digest)
            for seq, relation, outcome, about, digest in (
                (1, "domain.read", "granted", f"domain:{DOMAIN}", None),
                (2, "node_state.pull", "granted", f"node:{node_id(1)}", "ab" * 32),
                (5, "node.register", "insufficient_relation", f"domain:{DOMAIN}", None),
            )
        ]
    }
    for number in (1, 2, 3):
        service.domain_nodes.put(DOMAIN, node_id(number), f"10.42.0.{number}")
