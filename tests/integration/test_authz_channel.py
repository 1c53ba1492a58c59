"""Every gRPC status as the channel tells it, from a server that answers whatever a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from authzed.api.v1 import CheckPermissionRequest, LookupResourcesRequest, ReadSchemaRequest

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable
from composer.identity import Principal, PrincipalKind
from server.authz.channel import SpiceDbChannel, Undecided
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.endpoint import SpiceDbEndpoint
from tests.fakes import FakeClock

ABOUT_THE_QUESTION = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE", "NOT_FOUND"}
FAULTS = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
ANN = Principal(PrincipalKind.USER, "ann")


class Answering(grpc.GenericRpcHandler):
    """Ends every call with ``status``; None is silence. A stream gets two rows before.

    A call of SchemaService times out once ``late`` is set.
    """

    status: grpc.StatusCode | None = grpc.StatusCode.OK
    garbage = b""

    def __init__(self) -> None:
        self.called, self.late = threading.Event(), threading.Event()

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def time_out(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.called.set()
            self.late.wait(10)
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "late")
            return b""

        def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            yield from (b"", b"")
            answer(request, context)

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            if self.status is None:
                while context.is_active():
                    time.sleep(0.01)
            elif self.status is not grpc.StatusCode.OK:
                context.abort(self.status, "because")
            return self.garbage

        if call.method.endswith("/ReadSchema"):
            return grpc.unary_unary_rpc_method_handler(time_out)
        if call.method.endswith("/LookupResources"):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def answering() -> Iterator[tuple[Answering, str]]:
    handler = Answering()
    server = grpc.server(
        ThreadPoolExecutor(8), handlers=[handler], options=[("grpc.so_reuseport", 0)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler, f"127.0.0.1:{port}"
    server.stop(None)


def channel_to(address: str, **options: object) -> SpiceDbChannel:
    endpoint = SpiceDbEndpoint(address, "key", insecure=True)
    return SpiceDbChannel(endpoint, **{"timeout": 1.0, **options})  # type: ignore[arg-type]


def soon() -> Deadline:
    return Deadline.after(5, time.monotonic)


@pytest.mark.parametrize("status", FAULTS, ids=lambda status: status.name)
def test_a_status_is_about_the_question_or_spicedb_is_unavailable(
    answering: tuple[Answering, str], status: grpc.StatusCode
) -> None:
    answering[0].status = status
    expected = Undecided if status.name in ABOUT_THE_QUESTION else AuthzUnavailable
    channel = channel_to(answering[1])
    with pytest.raises(expected, match=status.name):
        channel.permissions("CheckPermission", CheckPermissionRequest(), soon())
    channel.close()


@pytest.mark.parametrize("status", FAULTS, ids=lambda status: status.name)
def test_no_status_becomes_a_yes_or_another_exception(
    answering: tuple[Answering, str], status: grpc.StatusCode
) -> None:
    """INVALID_ARGUMENT alone is a no: the names were well-formed, so it is about them."""
    answering[0].status = status
    channel = channel_to(answering[1])
    checker = SpiceDbChecker(channel, ConcurrencyLimit(4))
    try:
        answer = checker.check(ANN, "domain-view", "domain:d1", soon())
        at_least = checker.check_at_least(ANN, "domain-view", "domain:d1", "t", soon())
    except AuthzUnavailable:
        assert status is not grpc.StatusCode.INVALID_ARGUMENT
    else:
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert (answer, at_least) == (False, False)
    channel.close()


def test_an_empty_answer_is_a_no_and_garbage_no_decision(answering: tuple[Answering, str]) -> None:
    channel = channel_to(answering[1])
    checker = SpiceDbChecker(channel, ConcurrencyLimit(4))
    assert checker.check(ANN, "domain-view", "domain:d1", soon()) is False
    answering[0].garbage = b"\xff\xff\xff"
    with pytest.raises(AuthzUnavailable):
        checker.check(ANN, "domain-view", "domain:d1", soon())
    channel.close()


def test_nobody_there_is_known_at_once(answering: tuple[Answering, str]) -> None:
    channel = channel_to("127.0.0.1:1")
    with pytest.raises(AuthzUnavailable, match="UNAVAILABLE"):
        channel.permissions("CheckPermission", CheckPermissionRequest(), soon())


def test_without_time_left_nobody_is_asked() -> None:
    channel = channel_to("127.0.0.1:1")
    with pytest.raises(AuthzUnavailable, match="no time left"):
        channel.permissions(
            "CheckPermission", CheckPermissionRequest(), Deadline.after(-1, time.monotonic)
        )
    assert channel._connection is None


def test_a_connection_without_any_answer_is_given_up(answering: tuple[Answering, str]) -> None:
    """Its peer may be gone without a word; the kernel would resend for a quarter of an hour."""
    clock = FakeClock()
    channel = channel_to(answering[1], timeout=0.05, clock=clock)

    def call() -> None:
        channel.permissions("CheckPermission", CheckPermissionRequest(), soon())

    call()
    first = channel._connection
    answering[0].status = None
    for _ in range(2):
        with pytest.raises(AuthzUnavailable):
            call()
    clock.now += 0.8
    with pytest.raises(AuthzUnavailable):
        call()
    assert channel._connection is first
    clock.now += 0.2
    with pytest.raises(AuthzUnavailable):
        call()
    assert channel._connection is None
    answering[0].status = grpc.StatusCode.OK
    channel._timeout = 5
    call()
    assert channel._connection is not first
    channel.close()


def test_an_answer_between_two_calls_that_time_out_keeps_the_connection(
    answering: tuple[Answering, str],
) -> None:
    """SpiceDB is slow, and not gone."""
    clock = FakeClock()
    channel = channel_to(answering[1], clock=clock)
    first = None
    for status in (grpc.StatusCode.OK, None, grpc.StatusCode.INVALID_ARGUMENT, None):
        answering[0].status = status
        channel._timeout = 5 if status else 0.05
        try:
            channel.permissions("CheckPermission", CheckPermissionRequest(), soon())
        except (AuthzUnavailable, Undecided):
            clock.now += 0.8
        first = first or channel._connection
    assert channel._connection is first
    channel.close()


def test_a_call_that_times_out_keeps_a_connection_that_answered_meanwhile(
    answering: tuple[Answering, str],
) -> None:
    clock = FakeClock()
    channel = channel_to(answering[1], timeout=10, clock=clock)
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(channel.schema, "ReadSchema", ReadSchemaRequest(), soon())
        assert answering[0].called.wait(10)
        first = channel._connection
        clock.now += 0.95
        channel.permissions("CheckPermission", CheckPermissionRequest(), soon())
        answering[0].late.set()
        with pytest.raises(AuthzUnavailable, match="late"):
            slow.result()
    assert channel._connection is first
    channel.close()


def test_each_row_of_a_stream_is_an_answer(answering: tuple[Answering, str]) -> None:
    clock = FakeClock()
    channel = channel_to(answering[1], clock=clock)
    answering[0].status = grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(AuthzUnavailable):
        for _ in channel.stream("LookupResources", LookupResourcesRequest(), soon()):
            first = channel._connection
            clock.now += 0.6
    assert channel._connection is first
    channel.close()


def test_a_certificate_that_is_missing_makes_spicedb_unavailable(
    tmp_path: Path,
) -> None:
    endpoint = SpiceDbEndpoint("spicedb.example:443", "key", ca=tmp_path / "missing.pem")
    channel = SpiceDbChannel(endpoint, timeout=1.0)
    with pytest.raises(AuthzUnavailable, match="FileNotFoundError"):
        channel.permissions("CheckPermission", CheckPermissionRequest(), soon())
    with pytest.raises(AuthzUnavailable, match="FileNotFoundError"):
        list(channel.stream("LookupResources", LookupResourcesRequest(), soon()))
