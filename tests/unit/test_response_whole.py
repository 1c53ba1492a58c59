"""The contract's rules of a whole body or array hold, although bodies are checked by blocks."""

from __future__ import annotations

import pytest

from handlers.wire import SnapshotBody, SnapshotWire
from server.contract.document import Contract
from server.http.response_validation import Breach, Outgoing, ResponseValidator
from tests.factories import domain_of, peer_row, snapshot
from tests.unit.test_response_memory import CONTRACT, HEADERS, pulled

OBJECT = b"""\
      type: object
      additionalProperties: true
      required: [peers, reachability, policy, bridge, state, reports]
"""
PEERS = b"""\
            of the ledger without a valid id, address or key is left out and logged.
          type: array
"""


def validator(place: bytes, rule: bytes) -> ResponseValidator:
    """Of the contract with one rule more."""
    assert CONTRACT.raw.count(place) == 1
    return ResponseValidator(Contract(CONTRACT.raw.replace(place, place + rule)))


def in_a_domain_of(nodes: int) -> SnapshotBody:
    rows = map(peer_row, range(1, nodes + 1))
    return SnapshotWire().encode(snapshot(1, domain=domain_of(*rows)))


def confirmed(body: SnapshotBody) -> Outgoing:
    return Outgoing("GetNodeState", 304, None, HEADERS, b"", body)


@pytest.mark.parametrize(
    "rule", [b"      maxProperties: 2\n", b"      not: { required: [peers] }\n"], ids=["max", "not"]
)
@pytest.mark.parametrize("form", [pulled, confirmed], ids=["sent", "confirmed by a 304"])
def test_a_rule_of_the_whole_object_holds(rule: bytes, form: type[Outgoing]) -> None:
    found = validator(OBJECT, rule).breach(form(in_a_domain_of(3)))  # type: ignore[arg-type]
    assert found is not None and (found.part, found.pointer) == ("body", "")
    assert ResponseValidator(CONTRACT).breach(form(in_a_domain_of(3))) is None  # type: ignore[arg-type]


def test_an_array_is_held_against_its_length_as_it_leaves() -> None:
    """Encoded are all Nodes of the Domain, sent all but the addressed one."""
    at_least_one = validator(PEERS, b"          minItems: 1\n")
    assert at_least_one.breach(pulled(in_a_domain_of(2))) is None
    found = at_least_one.breach(pulled(in_a_domain_of(1)))
    assert found is not None and (found.pointer, found.rule[-9:]) == ("/peers", "/minItems")
    at_most_one = validator(PEERS, b"          maxItems: 1\n")
    assert [at_most_one.breach(pulled(in_a_domain_of(2))) for _ in range(2)] == [None, None]
    assert isinstance(at_most_one.breach(pulled(in_a_domain_of(3))), Breach)
