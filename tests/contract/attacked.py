"""How each operation is attacked: one row an operation, over objects of a running stack.

`tests/e2e/test_every_operation_attacked.py` and `tests/e2e/test_audit_table.py` walk the table, and
a drift gate names the operation that is not in it. A row of an operation that changes or removes
its object makes a new one at every call of ``existing``, in a Domain of its own: the stack is
shared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests import scratch

if TYPE_CHECKING:
    from server.dev.stack import Stack

# Path parameters by name.
Object = Mapping[str, str]
# Objects that are not there, each with the status that who may gets.
Missing = tuple[tuple[Object, int], ...]
# A well-formed id that no ledger has.
UNREAL = "0190ffff-0000-7000-8000-00000000ffff"


def nothing(stack: Stack) -> Object:
    """For a path without parameters."""
    return {}


def no_objects(there: Object) -> Missing:
    """A path without parameters can name nothing that is not there."""
    return ()


def addressed_node(stack: Stack) -> Object:
    return {"id": stack.node_id}


def no_such_node(there: Object) -> Missing:
    """The agent of another Node holds no relation there, so it is a stranger too."""
    return (({**there, "id": UNREAL}, 403),)


def no_node_for_a_manager(there: Object) -> Missing:
    """The platform's manager may know."""
    return (({**there, "id": UNREAL}, 404),)


def no_such_stream(there: Object) -> Missing:
    return (({"id": UNREAL}, 501),)


def sample_domain(stack: Stack) -> Object:
    return {"domain_id": str(stack.sample.domain_id)}


def no_such_domain(there: Object) -> Missing:
    """The role is the platform's, or implied by it, so its manager may know."""
    return (({"domain_id": UNREAL}, 404),)


def no_such_trail(there: Object) -> Missing:
    """An auditor's role is in one Domain, and nothing implies it."""
    return (({"domain_id": UNREAL}, 403),)


def scratch_domain(stack: Stack) -> Object:
    return {"domain_id": scratch.domain(stack)}


def scratch_node(stack: Stack) -> Object:
    return {"id": scratch.node(stack)}


def entry_of_a_node(stack: Stack) -> Object:
    """A new Node at every call, with an entry of each kind under the key."""
    return scratch.entries(stack)


def none_of_the_key(there: Object) -> Missing:
    """The Node is there, and has no such entry."""
    return (({**there, "key": "not.there"}, 404),)


@dataclass(frozen=True, slots=True)
class Attacked:
    """One operation.

    ``caller`` is the subject that gets ``granted`` on what ``existing`` gives, written with its
    path parameters. ``missing`` are objects beside it that are not there, or only in part, each
    with the status that this same caller gets; every stranger must get what it gets on the existing
    one. ``body`` and ``headers`` are those of a good request; without ``body`` it is the contract's
    first example, as of now. ``audit_relation`` and ``audit_object`` are what an audit row says,
    where the audit table has one; ``made_object`` that of a grant which makes an object, by the
    members of its answer. ``varies`` is for what anyone may ask, where two
    answers need not be equal.
    """

    caller: str
    existing: Callable[[Stack], Object] = nothing
    missing: Callable[[Object], Missing] = no_objects
    granted: int = 200
    body: Callable[[], bytes] | None = None
    headers: Callable[[], Mapping[str, str]] = dict
    audit_relation: str = ""
    audit_object: str = "node:{id}"
    made_object: str = ""
    varies: bool = False


def of_a_node(audit_relation: str) -> Attacked:
    """An operation of a Node's own agent."""
    return Attacked("node:{id}", addressed_node, no_such_node, audit_relation=audit_relation)


def of_a_domain(
    audit_relation: str,
    caller: str = "user:operator",
    missing: Callable[[Object], Missing] = no_such_domain,
) -> Attacked:
    """An operation on the sample Domain; by default of the platform's manager."""
    return Attacked(
        caller,
        sample_domain,
        missing,
        audit_relation=audit_relation,
        audit_object="domain:{domain_id}",
    )


def of_a_scratch_node(audit_relation: str, caller: str, granted: int = 200) -> Attacked:
    """An operation that changes its Node or takes it away."""
    missing = no_such_node if caller == "node:{id}" else no_node_for_a_manager
    return Attacked(caller, scratch_node, missing, granted=granted, audit_relation=audit_relation)


def of_an_entry(audit_relation: str, caller: str = "user:operator") -> Attacked:
    """A write of a Node's entry; by default the platform's, of a manager."""
    removes = audit_relation.endswith(".delete")
    no_node = no_such_node if caller == "node:{id}" else no_node_for_a_manager
    return Attacked(
        caller,
        entry_of_a_node,
        lambda there: (*no_node(there), *(none_of_the_key(there) if removes else ())),
        granted=204 if removes else 200,
        audit_relation=audit_relation,
    )


ANYONE = Attacked("user:anyone")

ATTACKED: Mapping[str, Attacked] = {
    "GetNodeState": of_a_node("node_state.pull"),
    "GetNodeEvents": Attacked("node:{id}", addressed_node, no_such_stream, granted=501),
    "PostNodeHeartbeat": of_a_node("node.heartbeat"),
    "GetNodeReachability": of_a_node("node_reachability.read"),
    "RenewNodeToken": of_a_node("node.token"),
    "DeleteNode": of_a_scratch_node("node.deregister", "user:operator", granted=204),
    "RotateNodeKey": of_a_scratch_node("node.rotate_key", "node:{id}"),
    "RotateNodeSecretKey": of_a_scratch_node("node.rotate_secret_key", "node:{id}"),
    "RevokeNodeCredentials": of_a_scratch_node(
        "node.revoke_credentials", "user:operator", granted=204
    ),
    "CreateDomain": Attacked(
        "user:operator",
        granted=201,
        audit_relation="domain.create",
        audit_object="platform:plexsphere",
        made_object="domain:{id}",
    ),
    "PutNodeStateReport": of_an_entry("node_report.put", "node:{id}"),
    "DeleteNodeStateReport": of_an_entry("node_report.delete", "node:{id}"),
    "PutNodeMetadata": of_an_entry("node_metadata.put"),
    "DeleteNodeMetadata": of_an_entry("node_metadata.delete"),
    "PutNodeData": of_an_entry("node_data.put"),
    "DeleteNodeData": of_an_entry("node_data.delete"),
    "GetDomain": of_a_domain("domain.read"),
    "DeleteDomain": Attacked(
        "user:operator",
        scratch_domain,
        no_such_domain,
        granted=204,
        audit_relation="domain.delete",
        audit_object="domain:{domain_id}",
    ),
    "ListDomainNodes": of_a_domain("domain.list_nodes"),
    "RegisterNode": Attacked(
        "user:operator",
        scratch_domain,
        no_such_domain,
        granted=201,
        audit_relation="node.register",
        audit_object="domain:{domain_id}",
        made_object="node:{node_id}",
    ),
    "ListDomainAudit": of_a_domain("domain_audit.read", "user:auditor", no_such_trail),
    "GetLivez": ANYONE,
    "GetReadyz": ANYONE,
    "GetHealth": ANYONE,
    "GetVersion": ANYONE,
    "GetMetrics": Attacked("user:anyone", varies=True),
    "GetOpenapi": ANYONE,
    "GetJwks": ANYONE,
    "GetDocs": ANYONE,
    "GetDocsScript": ANYONE,
    "GetDocsStyle": ANYONE,
}
# Operations whose every request is refused; `test_allow_lists.py` lets it shrink only.
NEVER_GRANTED = frozenset({"GetNodeEvents"})
