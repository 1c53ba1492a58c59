"""Why a caller is nobody: for the log and a metric, never for the wire."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Refusal(StrEnum):
    """The closed vocabulary of reasons; safe as a metric label, holds nothing of the token."""

    NO_HEADER = "no_header"
    SEVERAL_HEADERS = "several_headers"
    NOT_BEARER = "not_bearer"
    TOO_LONG = "too_long"
    MALFORMED_TOKEN = "malformed_token"
    MALFORMED_HEADER = "malformed_header"
    ALGORITHM = "algorithm"
    NO_KEYS = "no_keys"
    UNKNOWN_KEY = "unknown_key"
    KEY_MISMATCH = "key_mismatch"
    BAD_SIGNATURE = "bad_signature"
    MALFORMED_CLAIMS = "malformed_claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    SUBJECT = "subject"
    INTERNAL = "internal"


class Refused(Exception):
    """Ends a verification; never leaves this package."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


OnRefused = Callable[[str], None]


def unheard(reason: str) -> None:
    """The callback of a verifier nobody listens to."""
