"""The composer's errors, which the adapters of ``db`` and ``server`` raise.

Their messages are for the log (the inside). Callers of the service read only the fixed texts of
``handlers/refusals.py``.
"""

from __future__ import annotations


class ComposerError(Exception):
    """The base of all errors. An error without a refusal of its own becomes a 500."""


class ZeroNodeId(ComposerError):
    """The id of the Node is the nil UUID."""


class ZeroDomainId(ComposerError):
    """The id of the Domain is the nil UUID."""


class CorruptLedger(ComposerError):
    """A row must not be served, such as a rule set that does not match its fingerprint."""


class NodeNotFound(ComposerError):
    """The ledger has no such Node."""


class DomainNotFound(ComposerError):
    """The ledger has no such Domain."""


class ReportNotFound(ComposerError):
    """The Node has no report of that key."""


class EntryNotFound(ComposerError):
    """The Node has no metadata or data entry of that key."""


class ReportQuotaExceeded(ComposerError):
    """The Node has reached its limit of reports."""


class EntryQuotaExceeded(ComposerError):
    """The Node has reached its limit of metadata entries, or of data entries."""


class ClockSkew(ComposerError):
    """The client's clock is too far from the ledger's."""


class DomainSlugConflict(ComposerError):
    """Another Domain has that slug."""


class MeshCidrOverlap(ComposerError):
    """The address range overlaps that of another Domain."""


class DomainNotEmpty(ComposerError):
    """The Domain still has ``nodes`` Nodes."""

    def __init__(self, inside: str, nodes: int) -> None:
        super().__init__(inside)
        self.nodes = nodes


class IdempotencyKeyConflict(ComposerError):
    """An earlier, different request had the same Idempotency-Key."""


class PublicKeyInUse(ComposerError):
    """Another Node of the Domain has that public key."""


class PublicKeyRegistered(ComposerError):
    """The Domain has a Node with that public key, which another request registered."""


class CredentialEnded(ComposerError):
    """A credential of the Node that is not valid any more: revoked, or issued too early."""


class BootstrapTokenInvalid(ComposerError):
    """There is no such bootstrap token, or its secret is another."""


class ProjectMismatch(ComposerError):
    """The bootstrap token belongs to another project."""


class TokenConsumed(ComposerError):
    """A Node was enrolled with the bootstrap token before."""


class TokenExpired(ComposerError):
    """The time of the bootstrap token is over."""


class NonceCollision(ComposerError):
    """An earlier enrolment in the Domain had the same nonce."""


class ResourceNotFound(ComposerError):
    """The bootstrap token is for another resource handle."""


class NodeQuotaExceeded(ComposerError):
    """The Domain has as many Nodes as it may."""


class PoolExhausted(ComposerError):
    """No address of the Domain is free."""


class RateLimited(ComposerError):
    """The caller has reached a limit; ``retry_after`` is in seconds."""

    def __init__(self, inside: str, retry_after: float) -> None:
        super().__init__(inside)
        self.retry_after = retry_after


class KeysUnavailable(ComposerError):
    """No key could be had that verifies the token; the token may be valid."""


class DatastoreUnavailable(ComposerError):
    """Postgres is unreachable, or did not answer within the Deadline."""


class DatastoreBusy(DatastoreUnavailable):
    """Postgres answered that it cannot do the work now: a lock, its memory, its disk."""


class LedgerBehind(ComposerError):
    """Postgres answers with less than what was served before: an older copy, or a standby."""


class SigningUnavailable(ComposerError):
    """The key that signs node-agent tokens cannot be read."""


class AuthzUnavailable(ComposerError):
    """SpiceDB is unreachable, or did not answer within the Deadline."""


class EventKeyInTransition(ComposerError):
    """The Domain's event key was rotated, and agents may still need the one before."""


class EventStreamUnavailable(ComposerError):
    """NATS is unreachable, did not answer in time, or this process has yet to read what it has."""


class InvalidReachabilityPolicy(ComposerError):
    """A Domain's durations are incomplete or contradict each other."""
