"""The tests that scaffold prints."""

from __future__ import annotations

from server.dev.scaffold.code import body_of, filled, kind_of
from server.dev.scaffold.layout import imported, wrapped
from server.dev.scaffold.operations import Operation, Parameter
from server.dev.scaffold.templates import AWAY, ON_RECORD, TESTS, TURNED_AWAY

# What may stand in a test for a value of each type.
SAMPLES = {"str": '"a"', "int": "1", "bool": "True", "float": "1.5"}


def tests(operation: Operation) -> str:
    """The handler against the fake."""
    shown = {"None": "None", "bytes": 'b"shown"'}
    kinds = ["DATASTORE_UNAVAILABLE"] if operation.may_be_away else []
    fakes, factories = [f"Fake{operation.noun}Source"], ["agent_of", "call"]
    strangers: list[str] = []
    if operation.secured:
        kinds += ["UNAUTHORIZED", "RefusalKind"]
        strangers.append("(None, UNAUTHORIZED)")
    if operation.gated:
        kinds.append("INSUFFICIENT_RELATION")
        strangers.append("(agent_of(2), INSUFFICIENT_RELATION)")
        fakes += [f"Fake{kind_of(operation)}Repo", "FakeRelationChecker", "FakeAuditSink"]
        factories += ["addressed", "node_id"] if operation.about == "node" else ["DOMAIN"]
    if kinds:
        kinds.append("Refused")
    turned = wrapped("@pytest.mark.parametrize(", ['"who, kind"', f"[{', '.join(strangers)}]"], ")")
    modules = {
        "handlers.refusals": kinds,
        f"handlers.{operation.slice}": [f"{operation.noun}Ports", operation.function],
    }
    return filled(
        TESTS,
        operation,
        handlers="".join(imported(module, modules[module]) for module in sorted(modules)),
        factories=imported("tests.factories", factories),
        fakes=imported("tests.fakes", fakes),
        identity="AddressedDomain, Principal" if operation.about == "domain" else "Principal",
        node=(
            ("NODE = node_id(1)\n" if operation.about == "node" else "")
            + (f'RELATION = "{operation.audit_relation}"\n' if operation.gated else "")
        ),
        on_record=filled(ON_RECORD, operation) if operation.gated else "",
        shown=shown.get(body_of(operation), '{"shown": "by the port"}'),
        ask=wrapped(
            "def ask(",
            [
                f"source: Fake{operation.noun}Source",
                "who: Principal | None = AGENT",
                *(["sink: FakeAuditSink | None = None"] if operation.gated else []),
            ],
            ") -> Answer:",
        ),
        ports=_test_ports(operation),
        call=wrapped(
            f"    return {operation.function}(",
            [
                "ports",
                "call(who)",
                *(_argument(one) for one in operation.parameters),
                *(["body={}"] if operation.takes_a_body else []),
            ],
            ")",
        ),
        turned_away=filled(TURNED_AWAY, operation, strangers=turned) if strangers else "",
        away=filled(AWAY, operation) if operation.may_be_away else "",
        pytest="import pytest\n\n" if kinds else "",
        errors=(
            "from composer.errors import DatastoreUnavailable\n" if operation.may_be_away else ""
        ),
    )


def _test_ports(operation: Operation) -> str:
    if not operation.gated:
        return f"    ports = {operation.noun}Ports(source)"
    about, held = "node:{NODE}", "nodes = FakeNodeRepo({NODE: addressed(1)})"
    if operation.about == "domain":
        about = "domain:{DOMAIN}"
        held = "domains = FakeDomainRepo({DOMAIN: AddressedDomain(DOMAIN, None)})"
    return (
        f'    granted = {{(AGENT.subject, "{operation.relation}", f"{about}")}}\n'
        f"    relations = FakeRelationChecker(granted)\n"
        f"    {held}\n"
        + wrapped(
            f"    ports = {operation.noun}Ports(",
            ["relations", f"{operation.about}s", "source", "sink or FakeAuditSink()"],
            ")",
        )
    )


def _argument(parameter: Parameter) -> str:
    if parameter.name in ("id", "domain_id"):
        return f"{parameter.name}=str({'NODE' if parameter.name == 'id' else 'DOMAIN'})"
    bare = parameter.annotation.removesuffix(" | None")
    item = bare.removeprefix("list[").removesuffix("]")
    sample = SAMPLES[item] if item == bare else f"[{SAMPLES[item]}]"
    return f"{parameter.name}={sample}"
