"""A row for each table of the tests, and what the service on fakes stands on."""

from __future__ import annotations

from collections.abc import Iterator

from composer.identity import NIL
from server.dev.scaffold import templates
from server.dev.scaffold.code import filled
from server.dev.scaffold.homes import Home
from server.dev.scaffold.layout import literal, wrapped
from server.dev.scaffold.operations import JSON, NOT_PROVISIONED, Operation

# How tests/contract/attacked.py finds an object: to look at, and to change.
OBJECTS = {
    ("node", False): "addressed_node",
    ("node", True): "scratch_node",
    ("domain", False): "sample_domain",
    ("domain", True): "scratch_domain",
}
# What the one who may is answered where there is no such object.
UNREAL = {"node": ("id", 403), "domain": ("domain_id", 404)}


def tables(operation: Operation) -> str:
    """One row for each coverage table."""
    alone = operation.status is None
    gated = operation.about and not alone
    return filled(
        templates.TABLES,
        operation,
        authn=501 if alone else 401 if operation.about else operation.status,
        authz=literal(operation.relation) if gated else "None",
        audit='("granted", "insufficient_relation")' if gated else "()",
        reached=None if alone else 0.5,
    )


def attacked(operation: Operation) -> str:
    """How it is attacked; what further parts of its path are to be stands in it to be filled in."""
    audit = literal(operation.audit_relation)
    found = [*_objects(operation)]
    if operation.status != 200:
        found.append(f"granted={operation.status or NOT_PROVISIONED}")
    if operation.status is None or not operation.about:
        return _row(operation, "Attacked(", ['"user:anyone"', *found], "ANYONE")
    if operation.about == "platform":
        recorded = [f"audit_relation={audit}", 'audit_object="platform:plexsphere"']
        return _row(operation, "Attacked(", ['"user:operator"', *found, *recorded])
    has_key = any("FILL IN" in one for one in found)
    if operation.writes and not has_key and operation.about == "node":
        return _row(operation, "of_a_scratch_node(", [audit, '"node:{id}"', *found])
    if operation.writes and not has_key:
        found.insert(0, f"existing={OBJECTS[operation.about, True]}")
    base = f"of_a_{operation.about}({audit})"
    return _row(operation, "replace(", [base, *found], base)


def _objects(operation: Operation) -> Iterator[str]:
    """One that is there and one that is not, where the path says more than tables know."""
    named = [one for one in operation.further if one.kind == "path"]
    there = [f"{literal(one.spelled)}: {literal(one.text)}" for one in named]
    away, status = [*there], 404
    if operation.about in UNREAL:
        name, status = UNREAL[operation.about]
        there.insert(0, f"**{OBJECTS[operation.about, operation.writes]}(stack)")
        away.insert(0, f'"{name}": UNREAL')
    elif named and len(named[0].text) == len(str(NIL)):
        away[0] = f"{literal(named[0].spelled)}: UNREAL"
    if operation.status is None:
        status = NOT_PROVISIONED
    elif not named:
        return
    if away:
        names = ", ".join(one.spelled for one in named)
        fill = f"# FILL IN {names}: of one that is there, and of one that is not\n    "
        yield f"{fill if named else ''}existing=lambda stack: {{{', '.join(there)}}}"
        yield f"missing=lambda stack: (({{{', '.join(away)}}}, {status}),)"


def _row(operation: Operation, call: str, arguments: list[str], alone: str = "") -> str:
    """A call, or what stands for one with no more than its first argument."""
    head = f'"{operation.name}": '
    if alone and len(arguments) == 1:
        return f"{head}{alone},\n"
    if any("\n" in one for one in arguments):
        inner = "".join(f"    {one},\n" for one in arguments)
        return f"{head}{call}\n{inner}),\n"
    return wrapped(f"{head}{call}", arguments, "),") + "\n"


def answered(operation: Operation) -> str:
    """What makes it show its answers."""
    if operation.status is None or operation.media != JSON:
        return f'"{operation.name}": nothing,\n'
    path = operation.path.replace("/v1/nodes/{id}", "{NODE}") if operation.about == "node" else ""
    if operation.about == "domain":
        path = operation.path.replace("/v1/domains/{domain_id}", "{IN_DOMAIN}")
    path = path or operation.path
    for one in operation.further:
        path = path.replace(f"{{{one.spelled}}}", one.text)
    said = path.strip("{}") if path in ("{NODE}", "{IN_DOMAIN}") else f'f"{path}"'
    how, keyword, arguments = "got(", "query", [said if "{" in path else literal(path)]
    queried = [one for one in operation.further if one.kind == "query" and one.asked]
    asked = ", ".join(f"{literal(one.spelled)}: {literal(one.text)}" for one in queried)
    if operation.takes_a_body:
        how = "sent("
        arguments = [literal(operation.name), literal(operation.method), *arguments]
    elif operation.writes:
        how, keyword = "lambda service: service.ask(", "query_string"
        arguments += ["1", literal(operation.method)]
    if asked:
        arguments.append(f"{keyword}={{{asked}}}")
    row = wrapped(f'"{operation.name}": {how}', arguments, "),") + "\n"
    said = "# SHOW each key that may be absent, and each word of an enum\n"
    return f"{said}{row}" if operation.varies else row


def stand_in(home: Home) -> str:
    """Among what the service on fakes stands on."""
    return f"        self.{home.stand_in} = {home.fake}()\n"


def wired_in_process(home: Home) -> str:
    """Among what it wires."""
    named = {home.asked: home.stand_in}
    fields = [f"self.{named.get(name, name)}" for name in home.fields]
    return wrapped(f"            given[{home.ports}] = {home.ports}(", fields, ")") + "\n"


def wired(operation: Operation, home: Home) -> str:
    """Among the ports of server/wiring_ports.py."""
    pool = "shared.writes" if operation.writes else "reads"
    named = {home.asked: f"{home.adapter}({pool})"}
    fields = [named.get(name, name) for name in home.fields]
    return wrapped(f"        {home.ports}(", fields, "),") + "\n"
