"""Every link of the file followed once.

Schemathesis' stateful phase follows them by chance, and not evenly: four hundred of its steps have
missed one of nine. A link that leads nowhere has to be named by every run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.bodies import JSON, body_now
from tests.client import bearer
from tests.fuzz import directed as cases
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.links import Link, declared_links
from tests.fuzz.tally import DIRECTED, Tally
from tests.fuzz.world import World

# Method, path, headers, body.
Request = tuple[str, str, Mapping[str, str], bytes | None]
Send = Callable[[Request], Exchange]


def followed(world: World, send: Send, tally: Tally) -> Iterator[str]:
    """Every link from an answer of its own; a complaint for each that leads to no 2xx or 304."""
    for link in declared_links(CONTRACT.document):
        source = CONTRACT.operations[link.source]
        start = next(cases.of_status(source, link.status, world), None)
        if start is None:  # the tally complains of a link never followed
            continue
        answer = send((start.method, start.path, start.headers, start.body))
        try:
            found = {name: value_of(sentence, answer) for name, sentence in link.parameters.items()}
        except (KeyError, TypeError) as error:
            yield f"{link.label}: {error} is not in a {answer.status} of {link.source}"
            continue
        end = send(_request(link, found, world))
        if end.succeeded:
            tally.links[link.label, DIRECTED] += 1
        else:
            yield f"{link.label}: leads to a {end.status}"


def value_of(expression: str, exchange: Exchange) -> str:
    """A runtime expression of OpenAPI, of the few that we use. Raises KeyError for any other."""
    head, _, pointer = expression.partition("#/")
    if head == "$response.body":
        found: Any = exchange.value
        for part in pointer.split("/"):
            found = found[part]
        return str(found)
    kind, _, name = expression.rpartition(".")
    if kind == "$request.path":
        return exchange.parameters[name]
    if kind == "$response.header":
        return exchange.received[name.lower()]
    raise KeyError(expression)


def _request(link: Link, found: Mapping[str, str], world: World) -> Request:
    operation = CONTRACT.operations[link.target]
    kinds = {parameter.name: parameter.kind for parameter in operation.parameters}
    headers = {name: value for name, value in found.items() if kinds.get(name) == "header"}
    addressed = found.get("id", found.get("domain_id", ""))
    body = body_now(link.target)
    headers |= bearer(str(world.permitted(link.target, addressed))) | (JSON if body else {})
    return operation.method, operation.path.format(**found), headers, body
