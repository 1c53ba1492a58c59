"""Limits on requests: how often a subject may be refused, rotate a key or register Nodes."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class Limit(StrEnum):
    """The requests that have a limit."""

    REFUSALS = "refusals"
    SECRET_KEYS = "secret_keys"
    KEY_ROTATIONS = "key_rotations"
    SECRET_KEY_ROTATIONS = "secret_key_rotations"
    REGISTRATIONS = "registrations"
    BOOTSTRAP_TOKENS = "bootstrap_tokens"
    ENROLMENTS = "enrolments"


class RequestLimits(Protocol):
    """The limits of a host, by the subject and the source of the current request.

    The addressed object is never a part of the key: a limit must not show whether it exists.
    """

    def admit(
        self,
        subject: str,
        permission: str,
        limit: Limit | None = None,
        content: bytes | None = None,
    ) -> None:
        """Let a request of ``subject`` begin, and count it for ``limit``.

        Raises RateLimited where ``limit`` is reached, or where the subject was refused too often by
        gate 2 and was not granted ``permission`` lately, which is a relation on an object. So only
        permissions that the subject does not have are limited. A repetition of the last counted
        request, which has the same ``content``, is not counted.
        """
        ...

    def refused(self, subject: str) -> None:
        """Gate 2 has refused the subject."""
        ...

    def granted(self, subject: str, permission: str) -> None:
        """The subject has passed the gates, and so has the ``permission``."""
        ...
