"""The code that scaffold prints, laid out as the formatter would."""

from __future__ import annotations

from string import Template
from textwrap import shorten

from handlers import refusals
from server.dev.scaffold.layout import WIDTH, imported, literal, wrapped
from server.dev.scaffold.operations import Operation, Parameter
from server.dev.scaffold.templates import (
    FAKE,
    HANDLER,
    REFUSE,
    TABLES,
)

JSON = "application/json"
BODY = "body: Mapping[str, Any]"  # what server/signatures.py asks for
RAISES = "Raises DatastoreUnavailable when it cannot be had in time."
RELATIONS = {"node-agent": "NODE_AGENT", "domain-view": "DOMAIN_VIEW", "domain-edit": "DOMAIN_EDIT"}
GATES = {
    "node": ("GRANTED", "NODE_AGENT", "Asked", "addressed_node", "audit", "canonical_node_id"),
    "domain": ("GRANTED", "Asked", "audit"),
}


def handler(operation: Operation) -> str:
    """Port, ports and handler: a module of its own."""
    body = body_of(operation)
    ports = ["AuditSink", "RelationChecker", "SilentAudit", f"{kind_of(operation)}Repo"]
    identity = [f"{operation.about}_object"] if operation.gated else []
    refused = ["refusal_for"] if operation.may_be_away else []
    refused += [constant(operation), "Refused"] if operation.refusal else []
    return filled(
        HANDLER,
        operation,
        mapping=(
            "from collections.abc import Mapping\n"
            if "Mapping" in body or operation.takes_a_body
            else ""
        ),
        typing="Any, Protocol" if operation.takes_a_body else "Protocol",
        errors="from composer.errors import ComposerError\n" if operation.may_be_away else "",
        refusals=imported("handlers.refusals", refused),
        dataclasses="dataclass, field" if operation.gated else "dataclass",
        port_imports=imported("composer.ports", ports if operation.gated else []),
        bound=(
            "; without it the operation is refused (gate 0)."
            if operation.refusal
            else ". Either this exists, or it is refused."
        ),
        audit_field=(
            "    audit: AuditSink = field(default_factory=SilentAudit)\n" if operation.gated else ""
        ),
        recorded=_recorded(operation),
        refuse=_refuse(operation),
        raises=RAISES if operation.may_be_away else "Never raises.",
        identity=(
            imported("composer.identity", [_who(operation), *identity]) if operation.secured else ""
        ),
        gate_imports=_gate_imports(operation),
        method=_method(operation),
        gates_field=(
            f"    relations: RelationChecker\n    {operation.about}s: {kind_of(operation)}Repo\n"
            if operation.gated
            else ""
        ),
        constants=_constants(operation),
        signature=_signature(operation),
        gates=_gates(operation),
        asked=_asked(operation),
        answer=_answer(operation),
    )


def fake(operation: Operation) -> str:
    """A stand-in for the port."""
    body = body_of(operation)
    shown = {"None": "None = None", "bytes": 'bytes = b""'}
    default = shown.get(body, f"{body} = field(default_factory=dict)")
    return filled(FAKE, operation, shown=default, method=_method(operation))


def rows(operation: Operation) -> str:
    """One row for each coverage table."""
    alone = operation.status is None
    return filled(
        TABLES,
        operation,
        authn=501 if alone else 401 if operation.secured else operation.status,
        authz=f'"{operation.relation}"' if operation.gated and not alone else "None",
        audit='("granted", "insufficient_relation")' if operation.gated and not alone else "()",
        reached=None if alone else 0.5,
    )


def filled(template: str, operation: Operation, **given: object) -> str:
    return Template(template).substitute(
        given,
        name=operation.name,
        noun=operation.noun,
        slice=operation.slice,
        status=operation.status,
        summary=shorten(operation.summary, WIDTH - len(operation.name) - 12, placeholder=" ..."),
    )


def body_of(operation: Operation) -> str:
    if operation.media is None:
        return "None"
    return "Mapping[str, object]" if operation.media == JSON else "bytes"


def _who(operation: Operation) -> str:
    return f"Addressed{kind_of(operation)}" if operation.gated else "Principal"


def kind_of(operation: Operation) -> str:
    return operation.about.capitalize()


def constant(operation: Operation) -> str:
    """What handlers/refusals.py calls the refusal of gate 0, or is to call it."""
    known = (
        name
        for name, kind in vars(refusals).items()
        if isinstance(kind, refusals.RefusalKind) and kind.code == operation.refusal
    )
    return next(known, operation.refusal.upper())


def _gate_imports(operation: Operation) -> str:
    known = "known_principal"
    if operation.about == "domain":
        own = [RELATIONS[operation.relation], "canonical_domain_id", "granted_domain"]
        return imported("handlers.domain_gates", own) + imported(
            "handlers.gates", [*GATES["domain"], known]
        )
    if operation.about == "node":
        return imported("handlers.gates", [*GATES["node"], known, "node_agent"])
    return imported("handlers.gates", [known] if operation.secured else [])


def _recorded(operation: Operation) -> str:
    if not operation.gated:
        return ""
    about = "node_object(node_id)" if operation.about == "node" else "domain_object(addressed)"
    return f"    audit(ports, call, principal, {about}, outcome=GRANTED, asked=ASKED)\n"


def _refuse(operation: Operation) -> str:
    if not operation.refusal:
        return ""
    arguments = [constant(operation), '"load-bearing ports are not wired"']
    return filled(REFUSE, operation, raised=wrapped("    raise Refused(", arguments, ")"))


def _asked_for(operation: Operation) -> list[Parameter]:
    """What the port is asked with; the id of a gated Node has become the Node."""
    return [one for one in operation.parameters if one.name != operation.id_parameter]


def _method(operation: Operation) -> str:
    who = [f"{_name_of(operation)}: {_who(operation)}"] if operation.secured else []
    asked = [f"{one.name}: {one.annotation}" for one in _asked_for(operation)]
    body = [BODY] if operation.takes_a_body else []
    arguments = ["self", *who, *asked, *body, "deadline: Deadline"]
    return wrapped(f"    def {operation.slice}(", arguments, f") -> {body_of(operation)}:")


def _name_of(operation: Operation) -> str:
    return operation.about or "principal"


def _signature(operation: Operation) -> str:
    declared = [one.declared for one in operation.parameters]
    declared += [BODY] if operation.takes_a_body else []
    # Connexion passes them by name, so that the order may stay the declared one.
    star = [] if all(one.given for one in operation.parameters) else ["*"]
    arguments = [f"ports: {operation.noun}Ports", "call: Call", *star, *declared]
    return wrapped(f"def {operation.function}(", arguments, ") -> Answer:")


def _gates(operation: Operation) -> str:
    lines = ["principal = known_principal(call.principal)"] if operation.secured else []
    if operation.about == "node":
        lines += [
            "node_id = canonical_node_id(id)",
            "node_agent(ports, call, principal, node_id, ASKED)",
            "node = addressed_node(ports, call, principal, node_id, ASKED)",
        ]
    if operation.about == "domain":
        lines += [
            "addressed = canonical_domain_id(domain_id)",
            "domain = granted_domain(ports, call, principal, addressed, ASKED)",
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
    asked = f'ASKED = Asked({RELATIONS[operation.relation]}, "{operation.audit_relation}")\n'
    found = asked if operation.gated else ""
    found += "HEADERS = {\n" + "".join(lines) + "}\n" if lines else ""
    return f"\n{found}" if found else ""


def _body_argument(operation: Operation) -> list[str]:
    return ["body"] if operation.takes_a_body else []
