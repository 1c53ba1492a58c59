"""The tests that scaffold prints: a handler against the stand-in of its port."""

from __future__ import annotations

from collections.abc import Iterator

from server.dev.scaffold import templates
from server.dev.scaffold.code import filled, shown
from server.dev.scaffold.declared import Parameter
from server.dev.scaffold.homes import CHECKER, SINK, Home
from server.dev.scaffold.layout import exploded, literal, wrapped
from server.dev.scaffold.operations import Operation

OBJECTS = {
    "node": 'f"node:{node_id(1)}"',
    "domain": 'f"domain:{DOMAIN}"',
    "platform": "PLATFORM",
}
IDS = {"node": "str(node_id(1))", "domain": "str(DOMAIN)"}
# What a gate asks is there, where it is asked: a type of port, and how it stands in for one.
HELD = {
    ("node", "NodeRepo"): "FakeNodeRepo({node_id(1): addressed(1)})",
    ("domain", "DomainRepo"): "FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)})",
}


def tests(operation: Operation, home: Home) -> str:
    """Every name in it has the operation's in it, so that it fits beside what is there."""
    turned = ["(None, UNAUTHORIZED)", "(agent_of(2), INSUFFICIENT_RELATION)"]
    strangers = wrapped("@pytest.mark.parametrize(", ['"who, kind"', f"[{', '.join(turned)}]"], ")")
    head = wrapped(
        f"def test_{operation.function}_asks_nothing_for_a_stranger(",
        ["who: Principal | None", "kind: RefusalKind"],
        ") -> None:",
    )
    given = {
        "fake": home.fake,
        "audit": operation.audit_relation,
        "strangers": strangers,
        "head": head,
    }
    answer = [str(operation.status), shown(operation)]
    return filled(
        templates.TESTS,
        operation,
        fake=home.fake,
        expected=exploded("    assert (answer.status, answer.body) == (", answer, ")"),
        ask=_ask(operation, home),
        arranged="\n".join(_arranged(operation, home)),
        called=_called(operation),
        turned_away=filled(templates.TURNED_AWAY, operation, **given) if operation.about else "",
        on_record=filled(templates.ON_RECORD, operation, **given) if operation.about else "",
        away=filled(templates.AWAY, operation, **given) if operation.may_be_away else "",
    )


def _ask(operation: Operation, home: Home) -> str:
    arguments = [f"source: {home.fake}", "who: Principal | None = agent_of(1)"]
    arguments += ["sink: FakeAuditSink | None = None"] if operation.about else []
    return wrapped(f"def ask_{operation.function}(", arguments, ") -> Answer:")


def _arranged(operation: Operation, home: Home) -> Iterator[str]:
    if operation.about:
        triple = ["agent_of(1).subject", literal(operation.relation), OBJECTS[operation.about]]
        yield exploded("    granted = {(", triple, ")}")
    yield wrapped(f"    ports = {home.ports}(", list(_ports(operation, home)), ")")


def _ports(operation: Operation, home: Home) -> Iterator[str]:
    stands_in = {CHECKER: "FakeRelationChecker(granted)", SINK: "sink or FakeAuditSink()"}
    for name, kind in home.fields.items():
        if name == home.asked:
            yield "source"
        else:
            held = HELD.get((operation.about, kind), f"Fake{kind}()")
            yield stands_in.get(kind, held) if operation.about else held


def _called(operation: Operation) -> str:
    arguments = ["ports", "call(who)"]
    arguments += [_argument(operation, one) for one in operation.parameters]
    if operation.takes_a_body:
        given = (f"{literal(one.spelled)}: {one.sample}" for one in operation.members if one.given)
        arguments.append(f"body={{{', '.join(given)}}}")
    return wrapped(f"    return {operation.function}(", arguments, ")")


def _argument(operation: Operation, one: Parameter) -> str:
    is_the_id = one.name == operation.id_parameter
    return f"{one.name}={IDS[operation.about] if is_the_id else one.sample}"
