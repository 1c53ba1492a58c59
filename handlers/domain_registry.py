"""CreateDomain and DeleteDomain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from composer.audit import AuditSink, SilentAudit
from composer.durations import duration
from composer.errors import ComposerError, InvalidReachabilityPolicy
from composer.identity import DomainRepo, RelationChecker, domain_object
from composer.reachability import ReachabilityPolicy, reachability_policy
from composer.registry import DomainReader, DomainRegistry, NewDomain, OutboxRelay, mesh_range
from handlers.answers import Answer, Call
from handlers.domain_gates import MANAGE, canonical_domain_id, platform_role
from handlers.gates import Asked, audit_done, known_principal
from handlers.refusals import INVALID_DOMAIN, INVALID_REACHABILITY_POLICY, Refused, refusal_for
from handlers.wire_registry import domain_value

CREATE = Asked(MANAGE, "domain.create")
CREATE_AGAIN = Asked(MANAGE, "domain.create_again")  # the Domain was there already
DELETE = Asked(MANAGE, "domain.delete")


@dataclass(frozen=True, slots=True)
class DomainRegistryPorts:
    """Everything the two writes need; without it they are bound to refuse_domains."""

    relations: RelationChecker
    domains: DomainRepo
    registry: DomainRegistry
    outbox: OutboxRelay
    reader: DomainReader
    audit: AuditSink = field(default_factory=SilentAudit)


def create_domain(ports: DomainRegistryPorts, call: Call, body: Mapping[str, Any]) -> Answer:
    """201 with the Domain, which its managers reach from then on; 200 where it was there already.

    What SpiceDB does not take stays in the ledger: the same request finds it, and settles again.
    """
    principal = known_principal(call.principal)
    wanted = _wanted(body)
    platform_role(ports, call, principal, CREATE)
    try:
        created = ports.registry.create(wanted, call.idempotency_key, call.deadline)
        about = domain_object(created.domain_id)
        audit_done(ports, call, principal, about, CREATE if created.is_new else CREATE_AGAIN)
        ports.outbox.settle(about, call.deadline)
        domain = ports.reader.read(created.domain_id, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    headers = {"Location": f"/v1/domains/{domain.id}"}
    return Answer(201 if created.is_new else 200, domain_value(domain), headers=headers)


def delete_domain(ports: DomainRegistryPorts, call: Call, domain_id: str) -> Answer:
    """204 when the Domain, the roles in it and its tuples are gone."""
    principal = known_principal(call.principal)
    addressed = canonical_domain_id(domain_id)
    about = domain_object(addressed)
    platform_role(ports, call, principal, DELETE, about)
    try:
        ports.domains.get_by_id(addressed, call.deadline)
        ports.registry.delete(addressed, call.deadline)
        audit_done(ports, call, principal, about, DELETE)
        ports.outbox.settle(about, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    return Answer(204, None, media_type=None)


def _wanted(body: Mapping[str, Any]) -> NewDomain:
    """Before the gates that cost a round trip: the schema cannot say what a range is."""
    try:
        return NewDomain(
            name=body["name"],
            slug=body["slug"],
            mesh_cidr=mesh_range(body["mesh_cidr"]),
            description=body.get("description"),
            region=body.get("region"),
            reachability=_policy(body.get("reachability", {})),
        )
    except ValueError as error:
        raise Refused(INVALID_DOMAIN, f"mesh_cidr: {error}") from error


def _policy(given: Mapping[str, str]) -> ReachabilityPolicy | None:
    try:
        durations = (
            None if given.get(name) is None else duration(given[name])
            for name in ("heartbeat_interval", "stale_after", "unreachable_after")
        )
        return reachability_policy(*durations)
    except (ValueError, InvalidReachabilityPolicy) as error:
        raise Refused(INVALID_REACHABILITY_POLICY, f"reachability: {error}") from error
