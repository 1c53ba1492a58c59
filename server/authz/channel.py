"""The gRPC channel to SpiceDB: opened after a fork, reopened by itself, every call bounded."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from db.timing import SPICEDB, Timed, untimed
from server.authz.endpoint import SpiceDbEndpoint

# Without these options a client waits 5 s and more after an outage of 20 s.
_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A new channel must not share the connection of the one that was closed for its silence.
    ("grpc.use_local_subchannel_pool", 1),
]

# A connection on which a call waited this long without any answer is closed: its peer may have
# vanished, and the kernel would resend for a quarter of an hour. HTTP/2 pings would tell as much,
# but a server of SpiceDB's kind ends a connection whose client pings more often than every 5 min.
_SILENT_S = 0.9


class Undecided(Exception):
    """SpiceDB answered, but with a status that is no decision; never leaves this package."""

    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{status.name}: {details}")
        self.status = status


# These statuses are about the request and not about SpiceDB's health; the caller interprets them.
_ABOUT_THE_REQUEST = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
    }
)

# Words of gRPC and OpenSSL, and what they mean for the settings. The first that is found counts.
_MEANINGS = {
    "WRONG_VERSION_NUMBER": "no TLS there; PLEXSPHERE_SPICEDB_INSECURE=1 allows that on loopback",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is not signed by PLEXSPHERE_SPICEDB_CA",
    "Failed to create security handshaker": "PLEXSPHERE_SPICEDB_CA has no certificate",
    "missing selected ALPN property": "what answers there does not speak gRPC",
    "Failed parsing HTTP/2": "what answers there does not speak gRPC",
    "before receiving SETTINGS": "it accepts connections and does not answer",
    "Connection refused": "nothing listens there (Connection refused)",
    "address lookup failed": "its host name is unknown",
    "Connection reset": "it ends the connection: perhaps it demands TLS",
    "Socket closed": "it ends the connection",
    "Deadline Exceeded": "no answer in time",
}


def error_of(status: grpc.StatusCode, details: str) -> Exception:
    """The error for a status that is not OK: Undecided or AuthzUnavailable."""
    if status in _ABOUT_THE_REQUEST:
        return Undecided(status, details)
    if status is grpc.StatusCode.UNAUTHENTICATED:
        meaning = "it refuses PLEXSPHERE_SPICEDB_TOKEN"
    else:
        meaning = next((text for sign, text in _MEANINGS.items() if sign in details), details)
    return AuthzUnavailable(f"SpiceDB: {status.name}: {meaning}")


@dataclass(slots=True, eq=False)
class _Connection:
    """A channel and its stubs, valid in the process that made it.

    ``silent_since`` is the beginning of the first call that timed out after the last answer, or the
    moment of that answer (``answered_at``) where the call had begun before it.
    """

    pid: int
    channel: grpc.Channel
    permissions: PermissionsServiceStub
    schema: SchemaServiceStub
    answered_at: float
    silent_since: float | None = None

    def answered(self, now: float) -> None:
        self.answered_at, self.silent_since = now, None

    def timed_out(self, began: float) -> float:
        """``silent_since``, after a call that began then."""
        if self.silent_since is None:
            self.silent_since = max(began, self.answered_at)
        return self.silent_since


class SpiceDbChannel:
    """Calls to SpiceDB. Thread-safe; opens nothing before the first call.

    ``timeout`` is the most one call may take, in seconds. ``clock`` is monotonic seconds. ``timed``
    is told of each call.
    """

    def __init__(
        self,
        endpoint: SpiceDbEndpoint,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        timed: Timed = untimed,
    ) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._clock = clock
        self._timed = timed
        self._metadata = (("authorization", f"Bearer {endpoint.preshared_key}"),)
        self._lock = threading.Lock()
        self._connection: _Connection | None = None

    def permissions(self, method: str, request: Any, deadline: Deadline) -> Any:
        """Call ``method`` of PermissionsService; raises Undecided and AuthzUnavailable."""
        return self._call(service="permissions", method=method, request=request, deadline=deadline)

    def schema(self, method: str, request: Any, deadline: Deadline) -> Any:
        """Call ``method`` of SchemaService; raises Undecided and AuthzUnavailable."""
        return self._call(service="schema", method=method, request=request, deadline=deadline)

    def stream(self, method: str, request: Any, deadline: Deadline) -> Iterator[Any]:
        """The answers of a streaming ``method`` of PermissionsService; raises as ``permissions``.

        Only ``deadline`` bounds it: reading all tuples takes longer than one decision.
        """
        timeout = deadline.remaining()
        if timeout <= 0:
            raise AuthzUnavailable("no time left to ask SpiceDB")
        with self._answering() as connection:
            call = getattr(connection.permissions, method)
            for answer in call(request, timeout=timeout, metadata=self._metadata):
                connection.answered(self._clock())
                yield answer

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None and connection.pid == os.getpid():
            connection.channel.close()

    def _call(self, service: str, method: str, request: Any, deadline: Deadline) -> Any:
        timeout = min(deadline.remaining(), self._timeout)
        if timeout <= 0:
            raise AuthzUnavailable("no time left to ask SpiceDB")
        with self._answering() as connection:
            call = getattr(getattr(connection, service), method)
            return call(request, timeout=timeout, metadata=self._metadata)

    @contextmanager
    def _answering(self) -> Iterator[_Connection]:
        """A connection for one call, whose errors become ours, and whose silence is noted."""
        began = self._clock()
        connection = None
        try:
            connection = self._connect()
            yield connection
        except grpc.RpcError as error:
            status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
            details = (error.details() or "") if isinstance(error, grpc.Call) else ""
            if connection is not None:
                self._note(connection, status is grpc.StatusCode.DEADLINE_EXCEEDED, began)
            raise error_of(status, details) from error
        except Exception as error:
            # A channel that was closed during the call, or a missing file: no decision either.
            raise AuthzUnavailable(f"no call to SpiceDB: {type(error).__name__}") from error
        finally:
            self._timed(SPICEDB, began, self._clock())
        connection.answered(self._clock())

    def _note(self, connection: _Connection, is_silent: bool, began: float) -> None:
        """Close a connection that was silent for too long; the next call opens another one."""
        now = self._clock()
        if not is_silent:
            connection.answered(now)
        elif now - connection.timed_out(began) >= _SILENT_S:
            with self._lock:
                is_ours = self._connection is connection
                if is_ours:
                    self._connection = None
            if is_ours:
                connection.channel.close()

    def _connect(self) -> _Connection:
        connection = self._connection
        if connection is not None and connection.pid == os.getpid():
            return connection
        with self._lock:
            connection = self._connection
            if connection is None or connection.pid != os.getpid():
                # A connection inherited through a fork is the parent's: it must not be closed.
                channel = self._open()
                connection = self._connection = _Connection(
                    pid=os.getpid(),
                    channel=channel,
                    permissions=PermissionsServiceStub(channel),
                    schema=SchemaServiceStub(channel),
                    answered_at=self._clock(),
                )
            return connection

    def _open(self) -> grpc.Channel:
        options: list[tuple[str, int]] = list(_RECONNECT)
        if self._endpoint.is_loopback:
            options.append(("grpc.enable_http_proxy", 0))
            if self._endpoint.insecure:
                return grpc.insecure_channel(self._endpoint.address, options)
        elif self._endpoint.insecure:
            # The start refuses this setting; a caller with another wiring must not use it either.
            raise AuthzUnavailable("SpiceDB outside loopback needs TLS")
        roots = self._endpoint.ca.read_bytes() if self._endpoint.ca else None
        credentials = grpc.ssl_channel_credentials(root_certificates=roots)
        return grpc.secure_channel(self._endpoint.address, credentials, options)
