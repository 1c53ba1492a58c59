"""A gRPC relay before a SpiceDB that answers ``minimize_latency`` from the past.

SpiceDB may: a decision at its own pace is one of some earlier revision. It lasts seconds there, and
here for as long as the test likes. Everything else goes through.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from authzed.api.v1 import (
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckBulkPermissionsResponse,
    CheckBulkPermissionsResponseItem,
    CheckPermissionRequest,
    CheckPermissionResponse,
)

from server.dev.ports import HOST, free_ports

CHECK = "/authzed.api.v1.PermissionsService/CheckPermission"
BULK = "/authzed.api.v1.PermissionsService/CheckBulkPermissions"
STREAMS = ("ReadRelationships", "LookupResources")


class ReplayingSpiceDb(grpc.GenericRpcHandler):
    """``replayed`` counts the answers that were older than the question."""

    def __init__(self, port: int) -> None:
        self._upstream = grpc.insecure_channel(f"{HOST}:{port}")
        self._first: dict[bytes, int] = {}
        self._counting = threading.Lock()
        self.replayed = 0

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        key = [(k, v) for k, v in call.invocation_metadata if k == "authorization"]
        if call.method.endswith(STREAMS):
            streamed = self._upstream.unary_stream(call.method)
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: streamed(request, metadata=key, timeout=10)
            )
        forward = self._upstream.unary_unary(call.method)
        replay = {CHECK: self._replay_check, BULK: self._replay_bulk}.get(call.method)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                found: bytes = forward(request, metadata=key, timeout=10)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
                raise
            return found if replay is None else replay(request, found)

        return grpc.unary_unary_rpc_method_handler(answer)

    def _replay_check(self, request: bytes, found: bytes) -> bytes:
        asked = CheckPermissionRequest.FromString(request)
        if not asked.consistency.minimize_latency:
            return found
        item = CheckBulkPermissionsRequestItem(
            resource=asked.resource, permission=asked.permission, subject=asked.subject
        )
        answer = CheckPermissionResponse.FromString(found)
        answer.permissionship = self._oldest(item, answer.permissionship)
        return bytes(answer.SerializeToString())

    def _replay_bulk(self, request: bytes, found: bytes) -> bytes:
        if not CheckBulkPermissionsRequest.FromString(request).consistency.minimize_latency:
            return found
        answer = CheckBulkPermissionsResponse.FromString(found)
        for pair in answer.pairs:
            oldest = self._oldest(pair.request, pair.item.permissionship)
            pair.item.CopyFrom(CheckBulkPermissionsResponseItem(permissionship=oldest))
        return bytes(answer.SerializeToString())

    def _oldest(self, item: CheckBulkPermissionsRequestItem, permissionship: int) -> int:
        """The first decision of the same question."""
        question = item.SerializeToString(deterministic=True)
        with self._counting:
            self.replayed += question in self._first
            return self._first.setdefault(question, permissionship)


@contextmanager
def replaying(port: int) -> Iterator[tuple[ReplayingSpiceDb, int]]:
    """Before the SpiceDB on that port of this machine; and the port to ask instead."""
    handler = ReplayingSpiceDb(port)
    with ThreadPoolExecutor(32) as threads:
        server = grpc.server(threads, handlers=[handler], options=[("grpc.so_reuseport", 0)])
        own = free_ports(1)[0]
        server.add_insecure_port(f"{HOST}:{own}")
        server.start()
        try:
            yield handler, own
        finally:
            server.stop(0).wait()
