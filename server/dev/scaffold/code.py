"""The code that scaffold prints, laid out as the formatter would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Template
from textwrap import shorten

from server.dev.scaffold import templates
from server.dev.scaffold.declared import BODY
from server.dev.scaffold.homes import SINK, Home
from server.dev.scaffold.layout import WIDTH, exploded, literal, value, wrapped
from server.dev.scaffold.operations import JSON, Operation

RAISES = "Raises DatastoreUnavailable when it cannot be had in time."
RELATIONS = {
    "node-agent": "NODE_AGENT",
    "domain-view": "DOMAIN_VIEW",
    "domain-edit": "DOMAIN_EDIT",
    "manage": "MANAGE",
}
# Whom a port is asked about: its name and type, what a handler has of it, what a fake notes down.
ASKERS: Mapping[str, tuple[str, str, str]] = {
    "node": ("node: AddressedNode", "node", "node.id"),
    "domain": ("domain_id: UUID", "addressed", "domain_id"),
    "platform": ("principal: Principal", "principal", "principal.subject"),
}
OBJECTS = {
    "node": "node_object(node_id)",
    "domain": "domain_object(addressed)",
    "platform": "PLATFORM",
}


def filled(template: str, operation: Operation, **given: object) -> str:
    """A template with what differs."""
    known = {
        "name": operation.name,
        "function": operation.function,
        "status": operation.status,
        "summary": summary(operation),
    }
    return Template(template).substitute(known, **given)


def summary(operation: Operation) -> str:
    """In one line."""
    return shorten(operation.summary, WIDTH - len(operation.name) - 12, placeholder=" ...")


def ports(operation: Operation, home: Home) -> str:
    """The port, and the ports it arrives with."""
    silent = {SINK: " = field(default_factory=SilentAudit)"}
    fields = (f"    {name}: {kind}{silent.get(kind, '')}" for name, kind in home.fields.items())
    bound = "; without it the operation is refused (gate 0)."
    return filled(
        templates.PORTS,
        operation,
        source=home.source,
        ports=home.ports,
        method=method(operation, home).rstrip(),
        fields="\n".join(fields),
        bound=bound if operation.refusal else ". Either this exists, or it is refused.",
    )


def method(operation: Operation, home: Home) -> str:
    """The port's, as its Protocol has it."""
    raises = RAISES if operation.may_be_away else "Never raises."
    return filled(templates.METHOD, operation, head=method_head(operation, home), raises=raises)


def method_head(operation: Operation, home: Home) -> str:
    """Its signature."""
    arguments = ["self", *(one for one, _ in asked(operation)), "deadline: Deadline"]
    return wrapped(f"    def {home.method}(", arguments, f") -> {body_of(operation)}:")


def asked(operation: Operation) -> Iterator[tuple[str, str]]:
    """What a port is asked with: as its signature has it, and as a handler says it."""
    taken = {"self", "deadline"}
    if operation.about:
        declared, said, _ = ASKERS[operation.about]
        taken.add(declared.partition(":")[0])
        yield declared, said
    given = [(one.name, one.annotation, one.name) for one in operation.further]
    given += [(one.name, one.annotation, one.read) for one in operation.members]
    if operation.takes_a_body and not operation.members:
        given.append((*BODY, "body"))
    for name, annotation, said in given:
        while name in taken:
            name += "_"
        taken.add(name)
        yield f"{name}: {annotation}", said


def constant(operation: Operation) -> str:
    """Which relation is asked for; nothing where none is."""
    if not operation.about:
        return ""
    arguments = [RELATIONS[operation.relation], literal(operation.audit_relation)]
    found = wrapped(f"{operation.asks} = Asked(", arguments, ")")
    if operation.about == "platform":
        return f"# NAME who may: until then it is whoever manages the platform.\n{found}"
    return found


def handler(operation: Operation, home: Home) -> str:
    """Gates, the port, the record, the answer."""
    return filled(
        templates.HANDLER,
        operation,
        head=_signature(operation, home),
        gates="".join(f"{line}\n" for line in _gates(operation)),
        asked=_asking(operation, home),
        recorded=_recorded(operation),
        answer=_answer(operation),
    )


def refuse(operation: Operation, home: Home, kind: str) -> str:
    """Gate 0."""
    raised = wrapped("    raise Refused(", [kind, '"load-bearing ports are not wired"'], ")")
    return filled(templates.REFUSE, operation, slice=home.slice, raised=raised)


def fake(operation: Operation, home: Home) -> str:
    """A stand-in for the port."""
    found = fake_method(operation, home).rstrip()
    return filled(templates.FAKE, operation, fake=home.fake, method=found) + "\n"


def fake_method(operation: Operation, home: Home) -> str:
    """What it shows."""
    asker = ASKERS[operation.about][2] if operation.about else literal(home.method)
    return filled(
        templates.FAKE_METHOD,
        operation,
        head=method_head(operation, home),
        asker=asker,
        shown=shown(operation),
    )


def adapter(operation: Operation, home: Home) -> str:
    """The port on Postgres, without its SQL."""
    return filled(
        templates.ADAPTER,
        operation,
        adapter=home.adapter,
        port=_port(home),
        pool="WritePool" if operation.writes else "ReadPool",
        method=adapter_method(operation, home),
    )


def adapter_method(operation: Operation, home: Home) -> str:
    """What its author is to make of it."""
    head = method_head(operation, home)
    return filled(templates.ADAPTER_METHOD, operation, head=head, port=_port(home))


def _port(home: Home) -> str:
    full = f"{home.source_path.removesuffix('.py').replace('/', '.')}.{home.source}"
    return full if len(full) < WIDTH - 25 else home.source


def shown(operation: Operation) -> str:
    """What a stand-in shows, and the answer has."""
    if operation.media is None:
        return "None"
    return f'example_answer("{operation.name}")' if operation.media == JSON else 'b"shown"'


def body_of(operation: Operation) -> str:
    """What a port gives back."""
    if operation.media is None:
        return "None"
    return "Mapping[str, object]" if operation.media == JSON else "bytes"


def _signature(operation: Operation, home: Home) -> str:
    declared = [one.declared for one in operation.parameters]
    declared += [": ".join(BODY)] if operation.takes_a_body else []
    # Connexion passes them by name, so that the order may stay the declared one.
    star = [] if all(one.given for one in operation.parameters) else ["*"]
    arguments = [f"ports: {home.ports}", "call: Call", *star, *declared]
    return wrapped(f"def {operation.function}(", arguments, ") -> Answer:")


def _gates(operation: Operation) -> Iterator[str]:
    arguments = ["ports", "call", "principal"]
    if operation.about:
        yield "    principal = known_principal(call.principal)"
    if operation.about == "node":
        arguments += ["node_id", operation.asks]
        yield "    node_id = canonical_node_id(id)"
        yield wrapped("    node_agent(", arguments, ")")
        yield wrapped("    node = addressed_node(", arguments, ")")
    if operation.about == "domain":
        yield "    addressed = canonical_domain_id(domain_id)"
        yield wrapped("    granted_domain(", [*arguments, "addressed", operation.asks], ")")
    if operation.about == "platform":
        yield wrapped("    platform_role(", [*arguments, operation.asks], ")")


def _asking(operation: Operation, home: Home) -> str:
    arguments = [*(said for _, said in asked(operation)), "call.deadline"]
    call = f"{'' if operation.media is None else 'shown = '}ports.{home.asked}.{home.method}("
    if not operation.may_be_away:
        return wrapped(f"    {call}", arguments, ")")
    return (
        f"    try:\n{wrapped(f'        {call}', arguments, ')')}\n"
        "    except ComposerError as error:\n"
        "        raise refusal_for(error) from error"
    )


def _recorded(operation: Operation) -> str:
    """What is written stands, whatever becomes of the answer; what is read only if it leaves."""
    if not operation.about:
        return ""
    arguments = ["ports", "call", "principal", OBJECTS[operation.about]]
    if operation.writes:
        return wrapped("    audit_done(", [*arguments, operation.asks], ")") + "\n"
    arguments += ["outcome=GRANTED", f"asked={operation.asks}"]
    return wrapped("    audit(", arguments, ")") + "\n"


def _answer(operation: Operation) -> str:
    arguments = [str(operation.status), "None" if operation.media is None else "shown"]
    if operation.media != JSON:
        arguments.append(f"media_type={literal(operation.media) if operation.media else None}")
    if not operation.headers:
        return wrapped("    return Answer(", arguments, ")")
    items = [f"{literal(name)}: {value(one)}" for name, one in operation.headers.items()]
    answer = wrapped("    return Answer(", [*arguments, "headers=headers"], ")")
    return f"{exploded('    headers = {', items, '}')}\n{answer}"
