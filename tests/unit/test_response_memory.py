"""A block that was valid and is unchanged is not validated again; nothing else is ever served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from composer.credentials import SecretKey
from composer.memory import ENTRY_BYTES
from composer.node_token import NodeToken
from composer.registry import RegisteredNode
from handlers.peers import JoinedArray
from handlers.wire import Block, SnapshotBody, SnapshotWire, json_bytes
from handlers.wire_registry import registration_body
from server.contract.document import Contract
from server.contract.schemas import Validator
from server.http.response_validation import Breach, Outgoing, ResponseValidator
from tests.factories import EPOCH, domain_of, node_id, peer_row, reachability, snapshot

CONTRACT = Contract.packaged()
HEADERS = {
    "etag": 'W/"x"',
    "cache-control": "private, no-cache",
    "vary": "Authorization, Accept-Encoding",
    "x-correlation-id": "x",
}
PEERS = CONTRACT.operations["GetNodeState"].responses[200].media["application/json"].blocks
REGISTRATION_PEERS = b"as in the Node's own pull.\n          type: array"
BLOCKS = ["peers", "reachability", "policy", "bridge", "state", "reports"]


def pulled(body: SnapshotBody) -> Outgoing:
    return Outgoing("GetNodeState", 200, "application/json", HEADERS, body.to_bytes(), body)


def replaced(body: SnapshotBody, name: str, source: bytes) -> SnapshotBody:
    """The body with one block's bytes changed and its cut kept."""
    blocks = (
        Block(name, source, block.cut) if block.name == name else block for block in body.blocks
    )
    return SnapshotBody(tuple(blocks), body.digest)


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Every value that a validator saw, headers' texts left out."""
    seen: list[object] = []
    original = Validator.fault

    def counted(self: Validator, value: object) -> Any:
        if not isinstance(value, str):
            seen.append(value)
        return original(self, value)

    monkeypatch.setattr(Validator, "fault", counted)
    yield seen


def test_a_cold_snapshot_is_validated_block_by_block(validated: list[object]) -> None:
    body = SnapshotWire().encode(snapshot())
    ResponseValidator(CONTRACT).breach(pulled(body))
    assert validated == [json.loads(block.source) for block in body.blocks[:-1]]
    # `reports` are the bytes of `state`, under the same schema.
    assert [block.source for block in body.blocks[-2:]] == [body.blocks[-1].source] * 2


def test_an_unchanged_snapshot_is_not_validated_again(validated: list[object]) -> None:
    validator = ResponseValidator(CONTRACT)
    body = SnapshotWire().encode(snapshot())
    validator.breach(pulled(body))
    validated.clear()
    assert (validator.breach(pulled(body)), validated) == (None, [])


def test_equal_bytes_are_known_whoever_encoded_them(validated: list[object]) -> None:
    validator = ResponseValidator(CONTRACT)
    validator.breach(pulled(SnapshotWire().encode(snapshot())))
    validated.clear()
    validator.breach(pulled(SnapshotWire().encode(snapshot())))
    assert validated == []


def test_the_peers_of_a_domain_are_validated_once_for_all_its_nodes(
    validated: list[object],
) -> None:
    validator, wire = ResponseValidator(CONTRACT), SnapshotWire()
    domain = domain_of(*map(peer_row, (1, 2, 3)))
    for number in (1, 2, 3):
        validator.breach(pulled(wire.encode(snapshot(number, domain=domain))))
    assert len([value for value in validated if isinstance(value, list)]) == 1


def test_only_the_block_that_moved_is_validated_again(validated: list[object]) -> None:
    validator = ResponseValidator(CONTRACT)
    validator.breach(pulled(SnapshotWire().encode(snapshot())))
    validated.clear()
    moved = snapshot(reachability=reachability(state="stale"))
    validator.breach(pulled(SnapshotWire().encode(moved)))
    assert [value["state"] for value in validated if isinstance(value, dict)] == ["stale"]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_mutated_block_is_caught_even_when_warm(name: str) -> None:
    validator = ResponseValidator(CONTRACT)
    body = SnapshotWire().encode(snapshot())
    assert validator.breach(pulled(body)) is None
    broken = replaced(body, name, json_bytes("hunter2"))
    found = validator.breach(pulled(broken))
    assert found is not None and found.pointer == f"/{name}"


def test_one_byte_of_a_warm_block_makes_it_another() -> None:
    validator = ResponseValidator(CONTRACT)
    body = SnapshotWire().encode(snapshot())
    validator.breach(pulled(body))
    source = body.blocks[0].source.replace(b'="', b'-"', 1)
    found = validator.breach(pulled(replaced(body, "peers", source)))
    assert found is not None and found.pointer == "/peers/0/public_key"


def test_a_breach_is_not_remembered_as_sound() -> None:
    validator = ResponseValidator(CONTRACT)
    broken = replaced(SnapshotWire().encode(snapshot()), "policy", b"7")
    found = [validator.breach(pulled(broken)) for _ in range(2)]
    assert found == [Breach("body", "/policy", found[0].rule)] * 2  # type: ignore[union-attr]


def test_a_block_is_known_under_the_schema_it_was_held_against_only() -> None:
    """An edit of the file may give two operations a block of one name and of two schemas."""
    no_peers = REGISTRATION_PEERS + b"\n          maxItems: 0"
    strict = CONTRACT.raw.replace(REGISTRATION_PEERS, no_peers)
    assert strict != CONTRACT.raw
    validator, wire = ResponseValidator(Contract(strict)), SnapshotWire()
    whole = snapshot(9, rows=[peer_row(1)])
    assert validator.breach(pulled(wire.encode(whole))) is None
    node = RegisteredNode(node_id(9), "10.42.0.9", "10.42.0.0/16", is_new=True)
    peers, token = wire.domain(whole.peers.domain), NodeToken("a.b.c", EPOCH)
    body = registration_body(node, peers, token, SecretKey(b"s" * 32), None)
    headers = {"cache-control": "no-store", "x-correlation-id": "x"}
    made = Outgoing("RegisterNode", 201, "application/json", headers, body.to_bytes(), body)
    assert ResponseValidator(CONTRACT).breach(made) is None
    found = validator.breach(made)
    assert found is not None and (found.pointer, found.rule[-9:]) == ("/peers", "/maxItems")


def test_a_block_is_known_under_its_own_name_only() -> None:
    validator = ResponseValidator(CONTRACT)
    body = SnapshotWire().encode(snapshot())
    validator.breach(pulled(body))
    null_for_state = replaced(body, "state", b"null")
    assert validator.breach(pulled(null_for_state)) is not None


@pytest.mark.parametrize("name", BLOCKS)
def test_a_missing_block_is_caught_even_when_warm(name: str) -> None:
    validator = ResponseValidator(CONTRACT)
    body = SnapshotWire().encode(snapshot())
    validator.breach(pulled(body))
    kept = tuple(block for block in body.blocks if block.name != name)
    found = validator.breach(pulled(SnapshotBody(kept, body.digest)))
    assert found == Breach("body", "", "/required")


def test_a_block_twice_is_caught() -> None:
    body = SnapshotWire().encode(snapshot())
    twice = SnapshotBody((*body.blocks, body.blocks[2]), body.digest)
    assert ResponseValidator(CONTRACT).breach(pulled(twice)) is not None


def test_an_undeclared_block_is_caught() -> None:
    body = SnapshotWire().encode(snapshot())
    more = SnapshotBody((*body.blocks, Block("executions", b"[]")), body.digest)
    found = ResponseValidator(CONTRACT).breach(pulled(more))
    assert found == Breach("body", "/executions", "/additionalProperties")


LARGE = 300  # peers, in some segments


def test_after_a_change_only_its_part_of_a_large_array_is_validated(
    validated: list[object],
) -> None:
    validator, wire = ResponseValidator(CONTRACT), SnapshotWire()
    rows = [*map(peer_row, range(1, LARGE + 1))]
    first = wire.encode(snapshot(1, domain=domain_of(*rows)))
    assert validator.breach(pulled(first)) is None
    assert sum(map(len, lists(validated))) == LARGE
    validated.clear()
    rows[150] = peer_row(151, public_key=b"k" * 32)
    second = wire.encode(snapshot(1, domain=domain_of(*rows)))
    assert validator.breach(pulled(second)) is None
    (part,) = lists(validated)
    assert 0 < len(part) < LARGE / 2


def lists(values: list[object]) -> list[list[object]]:
    return [value for value in values if isinstance(value, list)]


@pytest.mark.parametrize("spoiled", ["a part", "the whole", "both", "the order of both"])
def test_a_large_array_is_what_its_parts_say_or_is_validated_whole(spoiled: str) -> None:
    """A byte that is wrong in either is found, also where the other parts are known."""
    validator, wire = ResponseValidator(CONTRACT), SnapshotWire()
    body = wire.encode(snapshot(1, domain=domain_of(*map(peer_row, range(1, LARGE + 1)))))
    assert validator.breach(pulled(body)) is None
    peers, *others = body.blocks
    assert peers.joined is not None
    first, *texts = peers.joined.texts
    wrong = first.replace(b'="', b'-"', 1)
    joined, source = peers.joined, peers.source
    if spoiled in ("a part", "both"):
        joined = JoinedArray((wrong, *texts))
    if spoiled in ("the whole", "both"):
        source = source.replace(first, wrong)
    if spoiled == "the order of both":
        joined = JoinedArray((*texts, first[:-1]))
        source = joined.joined()
    blocks = (replace(peers, joined=joined, source=source, cut=None), *others)
    found = validator.breach(pulled(SnapshotBody(blocks, body.digest)))
    assert (found is None) == (spoiled == "a part")


@pytest.mark.parametrize("remembered_bytes", [0, 1, 100])
def test_what_is_too_large_to_remember_is_validated_every_time(
    validated: list[object], remembered_bytes: int
) -> None:
    validator = ResponseValidator(CONTRACT, remembered_bytes)
    body = SnapshotWire().encode(snapshot())
    for _ in range(2):
        assert validator.breach(pulled(body)) is None
    assert len([value for value in validated if isinstance(value, list)]) == 2


def test_a_block_in_use_is_not_forgotten_for_blocks_that_pass(validated: list[object]) -> None:
    validator, wire = ResponseValidator(CONTRACT, remembered_bytes=6_000), SnapshotWire()
    domain = domain_of(*map(peer_row, (1, 2, 3)))
    for second in range(60):
        heard = reachability(last_heartbeat_at=EPOCH.replace(second=second))
        validator.breach(pulled(wire.encode(snapshot(1, domain=domain, reachability=heard))))
    lists = [value for value in validated if isinstance(value, list)]
    assert (len(lists), len(validated)) == (1, 4 + 60)


def test_small_blocks_count_with_what_they_cost() -> None:
    validator = ResponseValidator(CONTRACT, remembered_bytes=100_000)
    for microsecond in range(1_000):
        heard = reachability(last_heartbeat_at=EPOCH.replace(microsecond=microsecond))
        validator.breach(pulled(SnapshotWire().encode(snapshot(reachability=heard))))
    assert len(validator._valid) < 100_000 / ENTRY_BYTES


def cuts(source: bytes) -> Iterator[tuple[int, int]]:
    """Every way to cut, sensible or not."""
    for start in range(-1, len(source) + 1):
        for end in range(start, len(source) + 2):
            yield start, end


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_cut_leaves_an_array_of_peers_that_the_contract_forbids(count: int) -> None:
    rows = [peer_row(number, relay_host="},{", relay_port=1) for number in range(1, count + 1)]
    whole = SnapshotWire().encode(snapshot(9, rows=rows))
    source = whole.blocks[0].source
    validator = ResponseValidator(CONTRACT)
    assert PEERS is not None
    sound, bad = PEERS.properties["peers"], []
    allowed = 0
    for cut in cuts(source):
        body = SnapshotBody((Block("peers", source, cut), *whole.blocks[1:]), whole.digest)
        if validator.breach(pulled(body)) is None:
            allowed += 1
            served = b"".join(body.blocks[0].chunks())
            if sound.fault(json.loads(served)) is not None:
                bad.append((cut, served))
    assert (bad, allowed >= count) == ([], True)


RELAY = b'{"enabled":true,"listen_port":1,"assignments":[]}'
BRIDGE = b'{"relay":' + RELAY + b',"ingress":{"rules":[]}}'
AT = BRIDGE.index(RELAY)


@pytest.mark.parametrize(
    "cut",
    [
        (AT, AT + len(RELAY)),
        (AT, AT + len(RELAY) + 1),
        (1, AT + len(RELAY)),
        (1, AT + len(RELAY) + 1),
        (AT + len(RELAY), len(BRIDGE) - 1),
        (1, len(BRIDGE) - 1),
    ],
    ids=["value", "value and comma", "member", "member and comma", "last member", "all"],
)
def test_a_cut_in_a_block_that_is_no_array_is_caught(cut: tuple[int, int]) -> None:
    body = SnapshotWire().encode(snapshot())
    blocks = tuple(
        Block("bridge", BRIDGE, cut) if block.name == "bridge" else block for block in body.blocks
    )
    found = ResponseValidator(CONTRACT).breach(pulled(SnapshotBody(blocks, body.digest)))
    assert found == Breach("body", "/bridge", "cut inside an element")
