"""What a parameter or a body becomes that is not as declared: a line for each that has a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from composer.entries import VALUE_MAX_BYTES
from handlers.refusals import (
    BINARY_CHECKSUM_EMPTY,
    BINARY_VERSION_EMPTY,
    INVALID_BODY,
    INVALID_CURSOR,
    INVALID_DOMAIN,
    INVALID_DOMAIN_ID,
    INVALID_ENTRY,
    INVALID_FILTER,
    INVALID_IDEMPOTENCY_KEY,
    INVALID_LIMIT,
    INVALID_NODE_ID,
    INVALID_REACHABILITY_POLICY,
    INVALID_REPORT,
    MALFORMED_HEARTBEAT_REQUEST,
    PAYLOAD_TOO_LARGE,
    PUBLIC_KEY_INVALID,
    REQUEST_BODY_TOO_LARGE,
    RefusalKind,
)
from server.contract.schemas import Fault

# Which refusal a broken parameter becomes; what is not named here is a 400 without a code.
PARAMETER_REFUSALS: Mapping[str, RefusalKind] = {
    "id": INVALID_NODE_ID,
    "domain_id": INVALID_DOMAIN_ID,
    "cursor": INVALID_CURSOR,
    "limit": INVALID_LIMIT,
    "Idempotency-Key": INVALID_IDEMPOTENCY_KEY,
    **dict.fromkeys(
        ("relation", "outcome", "subject", "object", "correlation_id", "from", "to"),
        INVALID_FILTER,
    ),
    "key": INVALID_ENTRY,
}
# Where one operation tells a broken parameter in words of its own.
OPERATION_REFUSALS: Mapping[tuple[str, str], RefusalKind] = {
    ("PutNodeStateReport", "key"): INVALID_REPORT,
    ("DeleteNodeStateReport", "key"): INVALID_REPORT,
}


@dataclass(frozen=True, slots=True)
class BodyRefusals:
    """What a body becomes that is not as declared; ``empty`` are texts with a refusal of their own.

    An empty text is told only where nothing else is wrong, so that one body has one refusal.
    ``members`` are those whose faults have another name than ``malformed``, ``missing`` is that of
    one that has to be there; of several faults the first in this order is told.
    ``too_large`` is what a body beyond the operation's limit becomes; ``max_bytes`` are texts that
    are too large beyond so many bytes of UTF-8, told before all else.
    """

    malformed: RefusalKind
    empty: Mapping[str, RefusalKind] = field(default_factory=dict)
    missing: RefusalKind | None = None
    members: Mapping[str, RefusalKind] = field(default_factory=dict)
    too_large: RefusalKind = PAYLOAD_TOO_LARGE
    max_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[RefusalKind, ...]:
        """Every refusal a body can become, in the order they are told in."""
        missing = () if self.missing is None else (self.missing,)
        return (self.malformed, *missing, *self.members.values(), *self.empty.values())

    def kind_of(self, fault: Fault) -> RefusalKind:
        """What one fault becomes, ``empty`` aside."""
        if not fault.pointer:
            is_missing = fault.rule.endswith("/required")
            return (self.missing or self.malformed) if is_missing else self.malformed
        return self.members.get(fault.pointer.split("/")[1], self.malformed)


_ENTRY = BodyRefusals(INVALID_ENTRY, max_bytes={"value": VALUE_MAX_BYTES})
# One line for each operation with a body; a test fails on one that is not here.
BODY_REFUSALS: Mapping[str, BodyRefusals] = MappingProxyType(
    {
        "PostNodeHeartbeat": BodyRefusals(
            MALFORMED_HEARTBEAT_REQUEST,
            {
                "binary_checksum": BINARY_CHECKSUM_EMPTY,
                "binary_version": BINARY_VERSION_EMPTY,
            },
        ),
        "CreateDomain": BodyRefusals(
            INVALID_BODY,
            missing=INVALID_DOMAIN,
            members={
                **dict.fromkeys(
                    ("name", "slug", "mesh_cidr", "description", "region"), INVALID_DOMAIN
                ),
                "reachability": INVALID_REACHABILITY_POLICY,
            },
            too_large=REQUEST_BODY_TOO_LARGE,
        ),
        "RegisterNode": BodyRefusals(
            INVALID_BODY,
            missing=PUBLIC_KEY_INVALID,
            members={"public_key": PUBLIC_KEY_INVALID},
            too_large=REQUEST_BODY_TOO_LARGE,
        ),
        "RotateNodeKey": BodyRefusals(
            INVALID_BODY, missing=PUBLIC_KEY_INVALID, members={"public_key": PUBLIC_KEY_INVALID}
        ),
        "PutNodeStateReport": BodyRefusals(INVALID_REPORT, max_bytes=_ENTRY.max_bytes),
        "PutNodeMetadata": _ENTRY,
        "PutNodeData": _ENTRY,
    }
)
