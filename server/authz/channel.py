"""The gRPC channel to SpiceDB: opened after a fork, reopened by itself, every call bounded."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from authzed.api.v1.permission_service_pb2_grpc import PermissionsServiceStub
from authzed.api.v1.schema_service_pb2_grpc import SchemaServiceStub

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from server.authz.endpoint import SpiceDbEndpoint

# Without these options a client waits 5 s and more after an outage of 20 s.
_RECONNECT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

# A connection whose calls only timed out for this long is closed: its peer may have vanished, and
# the kernel would resend for a quarter of an hour.
_SILENT_S = 10.0


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


def error_of(status: grpc.StatusCode, details: str) -> Exception:
    """What a status that is not OK means: Undecided or AuthzUnavailable."""
    if status in _ABOUT_THE_REQUEST:
        return Undecided(status, details)
    return AuthzUnavailable(f"SpiceDB: {status.name}: {details}")


@dataclass(frozen=True, slots=True, eq=False)
class _Connection:
    """A channel and its stubs, valid in the process that made it."""

    pid: int
    channel: grpc.Channel
    permissions: PermissionsServiceStub
    schema: SchemaServiceStub


class SpiceDbChannel:
    """Calls to SpiceDB. Thread-safe; opens nothing before the first call.

    ``timeout`` is the most one call may take, in seconds. ``clock`` is monotonic seconds.
    """

    def __init__(
        self,
        endpoint: SpiceDbEndpoint,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        self._clock = clock
        self._metadata = (("authorization", f"Bearer {endpoint.preshared_key}"),)
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._silent_since: float | None = None

    def permissions(self, method: str, request: Any, deadline: Deadline) -> Any:
        """Call ``method`` of PermissionsService; raises Undecided and AuthzUnavailable."""
        return self._call(lambda: getattr(self._connect().permissions, method), request, deadline)

    def schema(self, method: str, request: Any, deadline: Deadline) -> Any:
        """Call ``method`` of SchemaService; raises Undecided and AuthzUnavailable."""
        return self._call(lambda: getattr(self._connect().schema, method), request, deadline)

    def stream(self, method: str, request: Any, deadline: Deadline) -> Iterator[Any]:
        """The answers of a streaming ``method`` of PermissionsService; raises as ``permissions``.

        Only ``deadline`` bounds it: reading all tuples takes longer than one decision.
        """
        timeout = deadline.remaining()
        if timeout <= 0:
            raise AuthzUnavailable("no time left to ask SpiceDB")
        try:
            call = getattr(self._connect().permissions, method)
            yield from call(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._translate(error) from error
        except Exception as error:  # as in _call
            raise AuthzUnavailable(f"no call to SpiceDB: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None and connection.pid == os.getpid():
            connection.channel.close()

    def _call(self, method: Callable[[], Any], request: Any, deadline: Deadline) -> Any:
        timeout = min(deadline.remaining(), self._timeout)
        if timeout <= 0:
            raise AuthzUnavailable("no time left to ask SpiceDB")
        try:
            answer = method()(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._translate(error) from error
        except Exception as error:
            # A channel that was closed during the call, or a missing file: no decision either.
            raise AuthzUnavailable(f"no call to SpiceDB: {type(error).__name__}") from error
        self._silent_since = None
        return answer

    def _translate(self, error: grpc.RpcError) -> Exception:
        status = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
        details = (error.details() or "") if isinstance(error, grpc.Call) else ""
        if status is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._note_silence()
        else:
            self._silent_since = None
        return error_of(status, details)

    def _note_silence(self) -> None:
        now = self._clock()
        silent_since = self._silent_since
        if silent_since is None:
            self._silent_since = now
        elif now - silent_since >= _SILENT_S:
            self._silent_since = None
            self.close()

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
                    os.getpid(),
                    channel,
                    PermissionsServiceStub(channel),
                    SchemaServiceStub(channel),
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
