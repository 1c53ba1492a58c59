"""The composer's error vocabulary: what the adapters of ``db`` and ``server`` raise.

Every message is for the log (the inside). What a caller of the service may read is fixed text in
``handlers/refusals.py``.
"""

from __future__ import annotations


class ComposerError(Exception):
    """A fault with no public name: the pull ends in a 500."""


class ZeroNodeId(ComposerError):
    """A composition was asked for the nil Node."""


class ZeroDomainId(ComposerError):
    """A composition was asked for the nil Domain."""


class CorruptLedger(ComposerError):
    """Content that must not be served in part, such as a rule set against its fingerprint."""


class NodeNotFound(ComposerError):
    """The ledger holds no such Node, or no longer."""


class DomainNotFound(ComposerError):
    """The ledger holds no such Domain, or no longer."""


class ReportNotFound(ComposerError):
    """The Node has no report of that key, or no longer."""


class EntryNotFound(ComposerError):
    """The Node has no metadata or data entry of that key, or no longer."""


class ReportQuotaExceeded(ComposerError):
    """The Node holds as many reports as it may."""


class EntryQuotaExceeded(ComposerError):
    """The Node holds as many metadata entries, or data entries, as it may."""


class ClockSkew(ComposerError):
    """A moment on the client's clock is too far from the ledger's."""


class DomainSlugConflict(ComposerError):
    """Another Domain has that slug."""


class MeshCidrOverlap(ComposerError):
    """Another Domain has some of those addresses."""


class DomainNotEmpty(ComposerError):
    """The Domain still has ``nodes`` Nodes."""

    def __init__(self, inside: str, nodes: int) -> None:
        super().__init__(inside)
        self.nodes = nodes


class IdempotencyKeyConflict(ComposerError):
    """The same Idempotency-Key came with another request before."""


class PublicKeyInUse(ComposerError):
    """Another Node of the Domain has that public key."""


class PoolExhausted(ComposerError):
    """No address of the Domain is free."""


class DatastoreUnavailable(ComposerError):
    """Postgres is unreachable, or did not answer within the deadline."""


class SigningUnavailable(ComposerError):
    """The key that signs node-agent tokens cannot be read."""


class AuthzUnavailable(ComposerError):
    """SpiceDB is unreachable, or did not answer within the deadline."""


class InvalidReachabilityPolicy(ComposerError):
    """A Domain's durations are incomplete or contradict each other."""
