"""The embedded SpiceDB as a real gRPC server on loopback.

    python -m server.dev.spicedb_server --listen HOST:PORT --token-file FILE --tuples FILE

The library answers unary calls through its C interface and streams through a socket of its own.
This process offers both on one port, so that the application always talks gRPC, through the adapter
that it also uses in production. The store is memory: every start fills it and listens only then, so
that no client finds a SpiceDB without tuples, which would refuse what it should grant.
"""

import argparse
import ctypes
import gc
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
# More than the application's concurrent checks, so that no check waits here for a thread.
THREADS = 64
# Calls whose first field is the consistency of the answer.
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
# SpiceDB rounds the revision of an answer down to 5 s, so that for 5 s after the filling it may
# answer from before it. In protobuf the last value of a field counts: these bytes at the end of a
# request set `consistency: {fully_consistent: true}`.
SETTLING_SECONDS = 10.0
FULLY_CONSISTENT = b"\x0a\x02\x20\x01"
MONTH = 30 * 86400
PR_SET_TIMERSLACK = 29
TIMER_SLACK_NS = 2_000_000
ERROR = re.compile(r"\Arpc error: code = (\w+) desc = (.*)\Z", re.DOTALL)
CODES = {code.name.replace("_", "").lower(): code for code in grpc.StatusCode}


class SpiceDbHandler(grpc.GenericRpcHandler):
    """Passes the bytes of requests and responses through without parsing them."""

    def __init__(self, token: str) -> None:
        # It is c_char_p in 0.7.1, which turns every SpiceDB error into a ctypes.ArgumentError.
        ffi._get_lib().spicedb_free.argtypes = [ctypes.c_void_p]
        started = ffi.spicedb_start()
        self._handle: int = started["handle"]
        self._authorization = f"Bearer {token}".encode()
        address = started["streaming_address"]
        scheme = "unix:" if started["streaming_transport"] == "unix" else ""
        self._settled_at = 0.0
        self._streams = grpc.insecure_channel(scheme + address)

    def settle(self) -> None:
        """Call it after the last tuple was written."""
        self._settled_at = time.monotonic() + SETTLING_SECONDS

    # The two methods of a SpiceDbChannel, so that tuples.py fills this store as any other.

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
        headers = [v for k, v in call.invocation_metadata if k == "authorization"]
        return len(headers) == 1 and hmac.compare_digest(_bytes(headers[0]), self._authorization)

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
            # grpc reports "no deadline" as centuries, and overflows where it gets them back.
            seconds = left if left is not None and left < MONTH else None
            fresh = self._fresh(method, request)
            upstream = self._streams.unary_stream(method)(fresh, timeout=seconds)
            # The stream inside SpiceDB must end when its client ends.
            context.add_callback(upstream.cancel)
            try:
                yield from upstream
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())

        return answer


def status_of(message: str) -> tuple[grpc.StatusCode, str]:
    """SpiceDB's code and message, from the text of the C interface."""
    found = ERROR.match(message)
    if not found:
        return grpc.StatusCode.UNKNOWN, message
    code = CODES.get(found.group(1).lower(), grpc.StatusCode.UNKNOWN)
    return code, found.group(2)


def serve(listen: str, handler: SpiceDbHandler) -> grpc.Server:
    """Raises RuntimeError where the port is taken."""
    server = grpc.server(
        ThreadPoolExecutor(max_workers=THREADS),
        handlers=[handler],
        # Without this, two servers bind the same port and share its calls silently.
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
    parser = argparse.ArgumentParser(prog="python -m server.dev.spicedb_server")
    parser.add_argument("--listen", required=True)
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--tuples", required=True, type=Path)
    options = parser.parse_args()
    # Go's monitor looks about each 20 us while a call runs; threads inherit how late they may wake.
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS)
    handler = SpiceDbHandler(options.token_file.read_text().strip())
    fill(handler, from_lines(options.tuples.read_text()))
    handler.settle()
    try:
        server = serve(options.listen, handler)
    except RuntimeError:
        raise SystemExit(f"{options.listen} is in use by another program") from None
    signal.signal(signal.SIGTERM, lambda *_: server.stop(0.2))
    signal.signal(signal.SIGINT, lambda *_: server.stop(0.2))
    server.wait_for_termination()
    gc.freeze()  # no collection at the end of the process passes over its modules


if __name__ == "__main__":
    main()
