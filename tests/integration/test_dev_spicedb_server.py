"""The embedded SpiceDB answers over gRPC as SpiceDB does elsewhere."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from authzed.api.v1 import (
    CheckBulkPermissionsRequest,
    CheckBulkPermissionsRequestItem,
    CheckPermissionRequest,
    CheckPermissionResponse,
    InsecureClient,
    LookupResourcesRequest,
    ObjectReference,
    ReadRelationshipsRequest,
    ReadSchemaRequest,
    RelationshipFilter,
    SubjectReference,
    WriteSchemaRequest,
)

from server.dev.commands import REPOSITORY
from server.dev.spicedb_server import status_of
from server.dev.stack import Stack

HAS = CheckPermissionResponse.PERMISSIONSHIP_HAS_PERMISSION
NO = CheckPermissionResponse.PERMISSIONSHIP_NO_PERMISSION


@pytest.fixture
def client(stack: Stack) -> InsecureClient:
    return client_of(stack, stack.env["PLEXSPHERE_SPICEDB_TOKEN"])


def client_of(stack: Stack, token: str) -> InsecureClient:
    return InsecureClient(stack.env["PLEXSPHERE_SPICEDB_ENDPOINT"], token)


def node(node_id: str) -> ObjectReference:
    return ObjectReference(object_type="node", object_id=node_id)


def check(resource: str, subject: str, permission: str = "node_agent") -> CheckPermissionRequest:
    return CheckPermissionRequest(
        resource=node(resource),
        permission=permission,
        subject=SubjectReference(object=node(subject)),
    )


def refusal(call: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code(), raised.value.details()


def test_every_node_is_its_own_agent_and_no_other_nodes(
    client: InsecureClient, stack: Stack
) -> None:
    own, other = str(stack.sample.node_id(5)), str(stack.sample.node_id(6))
    assert client.CheckPermission(check(own, own)).permissionship == HAS
    assert client.CheckPermission(check(own, other)).permissionship == NO


@pytest.mark.parametrize("token", ["wrong", " ", "", None])
def test_a_call_without_the_preshared_key_is_unauthenticated(
    stack: Stack, token: str | None
) -> None:
    with grpc.insecure_channel(stack.env["PLEXSPHERE_SPICEDB_ENDPOINT"]) as channel:
        call = channel.unary_unary("/authzed.api.v1.SchemaService/ReadSchema")
        metadata = None if token is None else (("authorization", f"Bearer {token}"),)
        assert refusal(lambda: call(b"", metadata=metadata))[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (
            lambda client: client.CheckPermission(check("a", "a", "nonsense")),
            grpc.StatusCode.FAILED_PRECONDITION,
            "`nonsense` not found",
        ),
        (
            lambda client: client.CheckPermission(check("a b", "a")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "object_id",
        ),
        (
            lambda client: client.WriteSchema(WriteSchemaRequest(schema="definition {")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "parse error",
        ),
    ],
)
def test_errors_keep_the_code_and_message_of_spicedb(
    client: InsecureClient,
    call: Callable[[InsecureClient], object],
    code: grpc.StatusCode,
    words: str,
) -> None:
    found, details = refusal(lambda: call(client))
    assert found is code
    assert words in details
    assert "rpc error" not in details


def test_an_error_without_a_grpc_code_is_unknown_and_keeps_its_text() -> None:
    assert status_of("out of luck") == (grpc.StatusCode.UNKNOWN, "out of luck")


def test_streams_are_passed_through(client: InsecureClient, stack: Stack) -> None:
    everything = ReadRelationshipsRequest(
        relationship_filter=RelationshipFilter(resource_type="node", optional_relation="agent")
    )
    assert len(list(client.ReadRelationships(everything))) >= stack.sample.nodes
    own = LookupResourcesRequest(
        resource_object_type="node",
        permission="node_agent",
        subject=SubjectReference(object=node(stack.node_id)),
    )
    assert [found.resource_object_id for found in client.LookupResources(own)] == [stack.node_id]
    broken = ReadRelationshipsRequest(
        relationship_filter=RelationshipFilter(resource_type="nonsense")
    )
    code, _ = refusal(lambda: list(client.ReadRelationships(broken)))
    assert code is grpc.StatusCode.FAILED_PRECONDITION


def test_a_bulk_check_answers_in_order(client: InsecureClient, stack: Stack) -> None:
    others = [str(stack.sample.node_id(number)) for number in (5, 6, 5)]
    items = [
        CheckBulkPermissionsRequestItem(
            resource=node(other),
            permission="node_agent",
            subject=SubjectReference(object=node(others[0])),
        )
        for other in others
    ]
    answer = client.CheckBulkPermissions(CheckBulkPermissionsRequest(items=items))
    assert [pair.item.permissionship for pair in answer.pairs] == [HAS, NO, HAS]


def test_many_callers_at_once_all_get_their_own_answer(
    client: InsecureClient, stack: Stack
) -> None:
    ids = [str(stack.sample.node_id(number)) for number in range(32)]

    def ask(number: int) -> bool:
        asked = check(ids[number % 32], ids[number // 32 % 32])
        return bool(client.CheckPermission(asked).permissionship == HAS)

    with ThreadPoolExecutor(64) as callers:
        answers = list(callers.map(ask, range(1024)))
    assert answers == [number % 32 == number // 32 for number in range(1024)]


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    with Stack(REPOSITORY / ".dev" / "test" / "relay", nodes=3) as running:
        yield running


def test_a_restarted_spicedb_has_schema_and_tuples_before_it_listens(own_stack: Stack) -> None:
    own_stack.spicedb.kill()
    own_stack.spicedb.start()
    again = client_of(own_stack, own_stack.env["PLEXSPHERE_SPICEDB_TOKEN"])
    assert "definition node" in again.ReadSchema(ReadSchemaRequest()).schema_text
    own = own_stack.node_id
    assert again.CheckPermission(check(own, own)).permissionship == HAS
