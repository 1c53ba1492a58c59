"""The links of the file are followed by every run, with the token of who may."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.factories import node_id
from tests.fuzz.directed_links import Request, followed, value_of
from tests.fuzz.exchange import CONTRACT, Exchange, operation_at
from tests.fuzz.links import declared_links
from tests.fuzz.scratch import Scratch
from tests.fuzz.tally import DIRECTED, Tally
from tests.fuzz.world import REMEMBERED, World

SAMPLE, HOME, MADE = (str(node_id(number)) for number in (1, 2, 3))
OURS = {"x-correlation-id": "a", "etag": 'W/"1"'}


def world() -> World:
    scratch = Scratch(home=HOME)
    return World({SAMPLE: "agent"}, {SAMPLE: ""}, "stranger", "operator", scratch=scratch)


def answering(status: int, *names: str) -> Callable[[Request], Exchange]:
    """Every operation's object exists, but for these, which have another status."""

    def send(request: Request) -> Exchange:
        method, path, headers, _ = request
        found = operation_at(path, method)
        assert found is not None
        good = min((status for status in found.responses if status in (201, 204)), default=200)
        value = json.dumps({"id": MADE, "node_id": MADE, "token": "its own"}).encode()
        media = {**OURS, "content-type": "application/json"}
        sent = {name.lower(): text for name, text in headers.items()}
        shown = status if found.operation_id in names else good
        return Exchange(method, path, sent, shown, media, value)

    return send


def test_every_link_is_followed_once() -> None:
    tally = Tally()
    assert list(followed(world(), answering(200), tally)) == []
    links = {(link.label, DIRECTED): 1 for link in declared_links(CONTRACT.document)}
    assert tally.links == links
    assert len(links) >= 9


def test_a_link_that_leads_to_a_refusal_is_named() -> None:
    tally = Tally()
    found = list(followed(world(), answering(404, "RenewNodeToken"), tally))
    assert len(found) == 1
    assert found[0].endswith("Renew -> POST /v1/nodes/{id}/token: leads to a 404")
    assert not [label for label, _ in tally.links if label.endswith("/token")]


def test_a_link_from_an_answer_that_lacks_what_it_names_is_named() -> None:
    def send(request: Request) -> Exchange:
        answer = answering(200)(request)
        return Exchange(answer.method, answer.path, answer.sent, 409, {}, b"")

    found = list(followed(world(), send, Tally()))
    assert len(found) == len(declared_links(CONTRACT.document))
    assert all("is not in a 409 of" in complaint for complaint in found)


def test_a_link_says_where_its_values_are() -> None:
    exchange = answering(200)(("GET", f"/v1/nodes/{SAMPLE}/state", {}, None))
    assert value_of("$response.body#/node_id", exchange) == MADE
    assert value_of("$request.path.id", exchange) == SAMPLE
    assert value_of("$response.header.ETag", exchange) == OURS["etag"]
    for unknown in ("$request.query.limit", "$url", "node_id"):
        with pytest.raises(KeyError):
            value_of(unknown, exchange)


def test_what_was_registered_is_asked_for_with_the_token_of_its_answer() -> None:
    sample = world()
    assert sample.permitted("GetNodeState", MADE) is None
    sample.learn("RegisterNode", {"node_id": MADE, "token": "its own"})
    assert sample.permitted("GetNodeState", MADE) == "its own"
    assert sample.permitted("GetNodeReachability", MADE) == "its own"
    assert sample.permitted("DeleteNode", MADE) == "operator"


def test_what_was_made_is_read_by_the_operator_who_may_do_everything() -> None:
    for name in ("GetDomain", "ListDomainNodes", "RegisterNode", "DeleteDomain", "CreateDomain"):
        assert world().permitted(name, MADE) == "operator"
    assert world().permitted("GetNodeReachability", MADE) == "operator"
    assert world().permitted("GetNodeState", MADE) is None


def test_only_the_latest_tokens_are_remembered() -> None:
    sample = world()
    for number in range(2 * REMEMBERED):
        sample.learn("RegisterNode", {"node_id": str(number), "token": "t"})
    assert len(sample.made) == REMEMBERED
    assert str(2 * REMEMBERED - 1) in sample.made
