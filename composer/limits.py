"""Limits on requests: how often a subject may be refused, rotate a key or register Nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Limit(StrEnum):
    """The requests that have a limit."""

    REFUSALS = "refusals"
    SECRET_KEYS = "secret_keys"
    KEY_ROTATIONS = "key_rotations"
    REGISTRATIONS = "registrations"
    BOOTSTRAP_TOKENS = "bootstrap_tokens"
    ENROLMENTS = "enrolments"


class RequestLimits(Protocol):
    """The limits of a process, by the subject and the source of the current request.

    The addressed object is never a part of the key: a limit must not show whether it exists.
    """

    def admit(self, subject: str, limit: Limit | None = None) -> None:
        """Let a request of ``subject`` begin, and count it for ``limit``.

        Raises RateLimited where ``limit`` is reached, or where the subject was refused too often by
        gate 2 and was not granted anything lately.
        """
        ...

    def refused(self, subject: str) -> None:
        """Gate 2 has refused the subject."""
        ...

    def granted(self, subject: str) -> None:
        """The subject has passed the gates."""
        ...
