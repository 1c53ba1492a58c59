"""GetDomain: what a Domain is."""

from __future__ import annotations

from dataclasses import dataclass, field

from composer.audit import AuditSink, SilentAudit
from composer.errors import ComposerError
from composer.identity import DomainRepo, RelationChecker, domain_object
from composer.registry import DomainReader
from handlers.answers import Answer, Call
from handlers.domain_gates import DOMAIN_VIEW, canonical_domain_id, granted_domain
from handlers.gates import GRANTED, Asked, audit, known_principal
from handlers.refusals import DOMAINS_NOT_PROVISIONED, Refused, refusal_for
from handlers.wire_registry import domain_value

READ_DOMAIN = Asked(DOMAIN_VIEW, "domain.read")


@dataclass(frozen=True, slots=True)
class DomainPorts:
    """Everything the read needs; without it the operation is bound to refuse_domains."""

    relations: RelationChecker
    domains: DomainRepo
    reader: DomainReader
    audit: AuditSink = field(default_factory=SilentAudit)


def get_domain(ports: DomainPorts, call: Call, domain_id: str) -> Answer:
    """The Domain's row."""
    principal = known_principal(call.principal)
    addressed = canonical_domain_id(domain_id)
    granted_domain(ports, call, principal, addressed, READ_DOMAIN)
    try:
        domain = ports.reader.read(addressed, call.deadline)
    except ComposerError as error:
        raise refusal_for(error) from error
    audit(ports, call, principal, domain_object(addressed), outcome=GRANTED, asked=READ_DOMAIN)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}
    return Answer(200, domain_value(domain), headers=headers)


def refuse_domains() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
    raise Refused(DOMAINS_NOT_PROVISIONED, "load-bearing ports are not wired")
