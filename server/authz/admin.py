"""The schema of SpiceDB, and whether SpiceDB decides: for doctor, /readyz and the stack of
``make run``."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from importlib.resources import files

import grpc
from authzed.api.v1 import (
    CheckPermissionRequest,
    Consistency,
    ReadSchemaRequest,
    SubjectReference,
    WriteSchemaRequest,
)

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import NIL, node_object
from server.authz.channel import SpiceDbChannel, Undecided
from server.authz.tuples import object_reference

_COMMENTS = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DEFINITION = re.compile(r"definition\s+([a-z0-9_/]+)\s*\{([^}]*)\}")
_MEMBER = re.compile(r"^\s*(relation|permission)\s+([a-z0-9_]+)\s*[:=]\s*(.+?)\s*$", re.MULTILINE)


def schema_text() -> str:
    """``schema.zed``, which this version of the service needs."""
    return files("server.authz").joinpath("schema.zed").read_text("utf-8")


def schema_members(text: str) -> frozenset[str]:
    """Every relation and permission as one line, without comments, order and extra spaces."""
    return frozenset(
        f"{definition}: {kind} {name} = {' '.join(expression.split())}"
        for definition, body in _DEFINITION.findall(_COMMENTS.sub("", text))
        for kind, name, expression in _MEMBER.findall(body)
    )


def missing_from(text: str) -> list[str]:
    """The members of ``schema.zed`` that ``text`` lacks or defines otherwise.

    More definitions than ours are allowed: a SpiceDB may serve other systems too.
    """
    return sorted(schema_members(schema_text()) - schema_members(text))


class SpiceDbAdmin:
    """Schema and liveness. Every method raises AuthzUnavailable, and nothing else, on failure."""

    def __init__(self, channel: SpiceDbChannel) -> None:
        self._channel = channel

    def write_schema(self, text: str, deadline: Deadline) -> str:
        """Replace the schema; the ZedToken of the write. Refused when tuples would be orphaned."""
        try:
            answer = self._channel.schema("WriteSchema", WriteSchemaRequest(schema=text), deadline)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB refuses the schema: {undecided}") from undecided
        return str(answer.written_at.token)

    def read_schema(self, deadline: Deadline) -> str | None:
        """The schema in SpiceDB's own formatting; None before the first schema."""
        try:
            answer = self._channel.schema("ReadSchema", ReadSchemaRequest(), deadline)
        except Undecided as undecided:
            if undecided.status is grpc.StatusCode.NOT_FOUND:
                return None
            raise AuthzUnavailable(f"SpiceDB refuses the read: {undecided}") from undecided
        return str(answer.schema_text)

    def ping(self, deadline: Deadline) -> None:
        """One real decision about the nil Node: proves connection, key, datastore and schema."""
        nil_node = object_reference(node_object(NIL))
        request = CheckPermissionRequest(
            # Quantized revisions may be older than the schema; a cached one proves no datastore.
            consistency=Consistency(fully_consistent=True),
            resource=nil_node,
            permission="node_agent",
            subject=SubjectReference(object=nil_node),
        )
        try:
            self._channel.permissions("CheckPermission", request, deadline)
        except Undecided as undecided:
            raise AuthzUnavailable(f"SpiceDB lacks the schema: {undecided}") from undecided


class SpiceDbReadiness:
    """SpiceDB's line in /readyz.

    Probes at most once every ``every_s`` seconds and in one thread at a time. Other threads get the
    last result at once: many requests to /readyz must not occupy every thread while SpiceDB does
    not answer. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        admin: SpiceDbAdmin,
        timeout_s: float = 1.0,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin
        self._timeout_s = timeout_s
        self._every_s = every_s
        self._clock = clock
        self._probing = threading.Lock()
        self._result = (False, "not asked yet")
        self._probed_at: float | None = None

    def describe(self) -> tuple[bool, str]:
        """(does SpiceDB decide, one line: a gRPC status at most, never an address)."""
        if self._is_due() and self._probing.acquire(blocking=False):
            try:
                self._result = self._probe()
                self._probed_at = self._clock()
            finally:
                self._probing.release()
        return self._result

    def _is_due(self) -> bool:
        return self._probed_at is None or self._clock() >= self._probed_at + self._every_s

    def _probe(self) -> tuple[bool, str]:
        try:
            self._admin.ping(Deadline.after(self._timeout_s, self._clock))
        except AuthzUnavailable as error:
            # Two words of "SpiceDB: UNAVAILABLE: <details>"; the details may name hosts.
            return False, ":".join(str(error).split(":")[:2])
        return True, "decides"
