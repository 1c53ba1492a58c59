"""The code that scaffold prints, laid out as the formatter would."""

from __future__ import annotations

from string import Template
from textwrap import shorten

from server.dev.scaffold.layout import WIDTH, imported, literal, wrapped
from server.dev.scaffold.operations import Operation, Parameter
from server.dev.scaffold.templates import AWAY, FAKE, HANDLER, TABLES, TESTS, TURNED_AWAY

JSON = "application/json"
# What may stand in a test for a value of each type.
SAMPLES = {"str": '"a"', "int": "1", "bool": "True", "float": "1.5"}
BODY = "body: Mapping[str, Any]"  # what server/signatures.py asks for
RAISES = "Raises DatastoreUnavailable when it cannot be had in time."
GATES = ("GatePorts", "addressed_node", "canonical_node_id", "known_principal", "node_agent")


def handler(operation: Operation) -> str:
    """Port, ports and handler: a module of its own."""
    body = _body(operation)
    gates = GATES if operation.gated else ("known_principal",) if operation.secured else ()
    return _filled(
        HANDLER,
        operation,
        mapping=(
            "from collections.abc import Mapping\n"
            if "Mapping" in body or operation.takes_a_body
            else ""
        ),
        typing="Any, Protocol" if operation.takes_a_body else "Protocol",
        errors="from composer.errors import ComposerError\n" if operation.may_be_away else "",
        refusals=imported("handlers.refusals", ["refusal_for"] if operation.may_be_away else []),
        raises=RAISES if operation.may_be_away else "Never raises.",
        identity=imported("composer.identity", [_who(operation)]) if operation.secured else "",
        gate_imports=imported("handlers.gates", gates),
        method=_method(operation),
        gates_field="    gates: GatePorts\n" if operation.gated else "",
        constants=_constants(operation),
        signature=_signature(operation),
        gates=_gates(operation),
        asked=_asked(operation),
        answer=_answer(operation),
    )


def fake(operation: Operation) -> str:
    """A stand-in for the port."""
    body = _body(operation)
    shown = {"None": "None = None", "bytes": 'bytes = b""'}
    default = shown.get(body, f"{body} = field(default_factory=dict)")
    return _filled(FAKE, operation, shown=default, method=_method(operation))


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
        fakes += ["FakeNodeRepo", "FakeRelationChecker", "FakeSnapshotProvider"]
        factories += ["addressed", "node_id"]
    if kinds:
        kinds.append("Refused")
    turned = wrapped("@pytest.mark.parametrize(", ['"who, kind"', f"[{', '.join(strangers)}]"], ")")
    modules = {
        "handlers.gates": GATES[:1] if operation.gated else (),
        "handlers.refusals": kinds,
        f"handlers.{operation.slice}": [f"{operation.noun}Ports", operation.function],
    }
    return _filled(
        TESTS,
        operation,
        handlers="".join(imported(module, modules[module]) for module in sorted(modules)),
        factories=imported("tests.factories", factories),
        fakes=imported("tests.fakes", fakes),
        node="NODE = node_id(1)\n" if operation.gated else "",
        shown=shown.get(_body(operation), '{"shown": "by the port"}'),
        ask=wrapped(
            "def ask(",
            [f"source: Fake{operation.noun}Source", "who: Principal | None = AGENT"],
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
        turned_away=_filled(TURNED_AWAY, operation, strangers=turned) if strangers else "",
        away=_filled(AWAY, operation) if operation.may_be_away else "",
        pytest="import pytest\n\n" if kinds else "",
        errors=(
            "from composer.errors import DatastoreUnavailable\n" if operation.may_be_away else ""
        ),
    )


def rows(operation: Operation) -> str:
    """One row for each coverage table."""
    alone = operation.status is None
    return _filled(
        TABLES,
        operation,
        authn=501 if alone else 401 if operation.secured else operation.status,
        authz='"node-agent"' if operation.gated and not alone else "None",
        reached=None if alone else 0.5,
    )


def _filled(template: str, operation: Operation, **given: object) -> str:
    return Template(template).substitute(
        given,
        name=operation.name,
        noun=operation.noun,
        slice=operation.slice,
        status=operation.status,
        summary=shorten(operation.summary, WIDTH - len(operation.name) - 12, placeholder=" ..."),
    )


def _body(operation: Operation) -> str:
    if operation.media is None:
        return "None"
    return "Mapping[str, object]" if operation.media == JSON else "bytes"


def _who(operation: Operation) -> str:
    return "AddressedNode" if operation.gated else "Principal"


def _asked_for(operation: Operation) -> list[Parameter]:
    """What the port is asked with; the id of a gated Node has become the Node."""
    return [one for one in operation.parameters if not (operation.gated and one.name == "id")]


def _method(operation: Operation) -> str:
    who = [f"{_name_of(operation)}: {_who(operation)}"] if operation.secured else []
    asked = [f"{one.name}: {one.annotation}" for one in _asked_for(operation)]
    body = [BODY] if operation.takes_a_body else []
    arguments = ["self", *who, *asked, *body, "deadline: Deadline"]
    return wrapped(f"    def {operation.slice}(", arguments, f") -> {_body(operation)}:")


def _name_of(operation: Operation) -> str:
    return "node" if operation.gated else "principal"


def _signature(operation: Operation) -> str:
    declared = [one.declared for one in operation.parameters]
    declared += [BODY] if operation.takes_a_body else []
    # Connexion passes them by name, so that the order may stay the declared one.
    star = [] if all(one.given for one in operation.parameters) else ["*"]
    arguments = [f"ports: {operation.noun}Ports", "call: Call", *star, *declared]
    return wrapped(f"def {operation.function}(", arguments, ") -> Answer:")


def _gates(operation: Operation) -> str:
    lines = ["principal = known_principal(call.principal)"] if operation.secured else []
    if operation.gated:
        lines += [
            "node_id = canonical_node_id(id)",
            "node_agent(ports.gates, call, principal, node_id)",
            "node = addressed_node(ports.gates, call, principal, node_id)",
        ]
    return "".join(f"    {line}\n" for line in lines)


def _asked(operation: Operation) -> str:
    who = [_name_of(operation)] if operation.secured else []
    given = [*(one.name for one in _asked_for(operation)), *_body_argument(operation)]
    arguments = [*who, *given, "call.deadline"]
    call = f"{'' if operation.media is None else 'shown = '}ports.source.{operation.slice}("
    if not operation.may_be_away:
        return wrapped(f"    {call}", arguments, ")")
    return (
        f"    try:\n{wrapped(f'        {call}', arguments, ')')}\n"
        "    except ComposerError as error:\n"
        "        raise refusal_for(error) from error"
    )


def _answer(operation: Operation) -> str:
    arguments = [str(operation.status), "None" if operation.media is None else "shown"]
    if operation.media != JSON:
        arguments.append(f"media_type={literal(operation.media) if operation.media else None}")
    if operation.headers:
        arguments.append("headers=HEADERS")
    return wrapped("    return Answer(", arguments, ")")


def _constants(operation: Operation) -> str:
    lines = [
        f"    {literal(name)}: {literal(value)},\n" for name, value in operation.headers.items()
    ]
    return "\nHEADERS = {\n" + "".join(lines) + "}\n" if lines else ""


def _test_ports(operation: Operation) -> str:
    if not operation.gated:
        return f"    ports = {operation.noun}Ports(source)"
    return (
        '    granted = {(AGENT.subject, "node-agent", f"node:{NODE}")}\n'
        "    nodes = FakeNodeRepo({NODE: addressed(1)})\n"
        "    gates = GatePorts(FakeRelationChecker(granted), nodes, FakeSnapshotProvider())\n"
        f"    ports = {operation.noun}Ports(gates, source)"
    )


def _body_argument(operation: Operation) -> list[str]:
    return ["body"] if operation.takes_a_body else []


def _argument(parameter: Parameter) -> str:
    if parameter.name == "id":
        return "id=str(NODE)"
    bare = parameter.annotation.removesuffix(" | None")
    item = bare.removeprefix("list[").removesuffix("]")
    sample = SAMPLES[item] if item == bare else f"[{SAMPLES[item]}]"
    return f"{parameter.name}={sample}"
