"""The embedded SpiceDB as a real gRPC server on loopback.

    python -m server.dev.spicedb_relay --listen HOST:PORT --token-file FILE --tuples FILE

The library answers unary calls through its C interface and streams through a socket of its own.
This process puts both behind one port, so that the application only ever talks gRPC, through the
adapter it also uses in production. The store is memory, so every start fills it, and it listens
only then: a client never meets a SpiceDB that has lost its tuples and denies what it should grant.
"""

import argparse
import ctypes
import hmac
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from authzed.api import v1
from spicedb_embedded import ffi

from .tuples import fill, from_lines

PERMISSIONS = "/authzed.api.v1.PermissionsService/"
SCHEMA = "/authzed.api.v1.SchemaService/"
UNARY = {
    PERMISSIONS + "CheckPermission": "spicedb_permissions_check_permission",
    PERMISSIONS + "CheckBulkPermissions": "spicedb_permissions_check_bulk_permissions",
    PERMISSIONS + "WriteRelationships": "spicedb_permissions_write_relationships",
    PERMISSIONS + "DeleteRelationships": "spicedb_permissions_delete_relationships",
    PERMISSIONS + "ExpandPermissionTree": "spicedb_permissions_expand_permission_tree",
    SCHEMA + "ReadSchema": "spicedb_schema_read_schema",
    SCHEMA + "WriteSchema": "spicedb_schema_write_schema",
}
STREAMS = {
    PERMISSIONS + "ReadRelationships",
    PERMISSIONS + "LookupResources",
    PERMISSIONS + "LookupSubjects",
    "/authzed.api.v1.WatchService/Watch",
}
# More than the checks the application allows itself at once, so that the relay is never the queue.
THREADS = 64
# Calls whose first field says how fresh the answer is to be.
READING = {
    PERMISSIONS + name
    for name in (
        "CheckPermission",
        "CheckBulkPermissions",
        "ExpandPermissionTree",
        "ReadRelationships",
        "LookupResources",
        "LookupSubjects",
    )
}
# SpiceDB answers from revisions that it rounds down to 5 s, so for that long after the filling it
# may answer from before it. Fields of a message add up, and of a choice the last one counts: these
# bytes at the end of a request say `consistency: {fully_consistent: true}`.
SETTLING_SECONDS = 10.0
FULLY_CONSISTENT = b"\x0a\x02\x20\x01"
MONTH = 30 * 86400
ERROR = re.compile(r"\Arpc error: code = (\w+) desc = (.*)\Z", re.DOTALL)
CODES = {code.name.replace("_", "").lower(): code for code in grpc.StatusCode}


class Relay(grpc.GenericRpcHandler):
    """Passes request and response bytes through unread."""

    def __init__(self, token: str) -> None:
        # c_char_p in 0.7.1, which turns every SpiceDB error into a ctypes.ArgumentError.
        ffi._get_lib().spicedb_free.argtypes = [ctypes.c_void_p]
        started = ffi.spicedb_start()
        self._handle: int = started["handle"]
        self._authorization = f"Bearer {token}".encode()
        address = started["streaming_address"]
        scheme = "unix:" if started["streaming_transport"] == "unix" else ""
        self._settled_at = 0.0
        self._streams = grpc.insecure_channel(scheme + address)

    def settle(self) -> None:
        """Counts from the last tuple of the filling."""
        self._settled_at = time.monotonic() + SETTLING_SECONDS

    # The two methods of a SpiceDbChannel, so that tuples.py can fill this store as any other.

    def permissions(self, method: str, request: Any, deadline: object) -> Any:
        return self._local(PERMISSIONS + method, request)

    def schema(self, method: str, request: Any, deadline: object) -> Any:
        return self._local(SCHEMA + method, request)

    def _local(self, method: str, request: Any) -> Any:
        answer = getattr(v1, type(request).__name__.replace("Request", "Response"))()
        function = getattr(ffi, UNARY[method])
        answer.ParseFromString(function(self._handle, request.SerializeToString()))
        return answer

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if not self._authorized(call):
            return grpc.unary_unary_rpc_method_handler(_refuse)
        if call.method in UNARY:
            function = getattr(ffi, UNARY[call.method])
            return grpc.unary_unary_rpc_method_handler(self._unary(function, call.method))
        if call.method in STREAMS:
            return grpc.unary_stream_rpc_method_handler(self._stream(call.method))
        return None  # grpc answers UNIMPLEMENTED

    def _fresh(self, method: str, request: bytes) -> bytes:
        settled = method not in READING or time.monotonic() > self._settled_at
        return request if settled else request + FULLY_CONSISTENT

    def _authorized(self, call: grpc.HandlerCallDetails) -> bool:
        given = [v for k, v in call.invocation_metadata if k == "authorization"]
        return len(given) == 1 and hmac.compare_digest(_bytes(given[0]), self._authorization)

    def _unary(
        self, function: Callable[[int, bytes], bytes], method: str
    ) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                return function(self._handle, self._fresh(method, request))
            except Exception as error:
                context.abort(*status_of(str(error)))
                raise

        return answer

    def _stream(self, method: str) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
        def answer(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            left = context.time_remaining()
            # grpc shows "no deadline" as centuries, and then overflows on them.
            seconds = left if left is not None and left < MONTH else None
            fresh = self._fresh(method, request)
            upstream = self._streams.unary_stream(method)(fresh, timeout=seconds)
            # A client that leaves must not keep a stream open inside SpiceDB.
            context.add_callback(upstream.cancel)
            try:
                yield from upstream
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return answer


def status_of(message: str) -> tuple[grpc.StatusCode, str]:
    """SpiceDB's own code and words, out of the text that the C interface hands over."""
    found = ERROR.match(message)
    if not found:
        return grpc.StatusCode.UNKNOWN, message
    code = CODES.get(found.group(1).lower(), grpc.StatusCode.UNKNOWN)
    return code, found.group(2)


def serve(listen: str, relay: Relay) -> grpc.Server:
    """Raises RuntimeError where the port is taken."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=THREADS),
        handlers=[relay],
        # Without this, two relays bind one port and share its calls silently.
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)],
    )
    server.add_insecure_port(listen)
    server.start()
    return server


def _refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid preshared key: invalid token")
    return b""


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m server.dev.spicedb_relay")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--tuples", required=True, type=Path)
    options = parser.parse_args()
    relay = Relay(options.token_file.read_text().strip())
    fill(relay, from_lines(options.tuples.read_text()))
    relay.settle()
    try:
        server = serve(options.listen, relay)
    except RuntimeError:
        raise SystemExit(f"{options.listen} is in use by another program") from None
    signal.signal(signal.SIGTERM, lambda *_: server.stop(0.2))
    signal.signal(signal.SIGINT, lambda *_: server.stop(0.2))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
