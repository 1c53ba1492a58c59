"""Compares what the service sends with the contract, before it starts.

An edit of the file that its answers cannot fulfil would otherwise be a 500 for each of them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import cycle
from typing import Any

from handlers.answers import Answer
from handlers.node_events import EVENT_STREAM
from handlers.operation import AnyOperation
from server.authoring.sample_values import EVENTS, ID, MOMENTS
from server.authoring.samples import sample_answers, value_of
from server.authoring.unsupported import MEDIA_TYPE
from server.contract.document import Contract, OperationContract
from server.contract.errors import ContractFault
from server.contract.pointers import (
    Path,
    canonical_path,
    parse_pointer,
    part_at,
    resolve_pointer,
    schema_reference,
)
from server.contract.schemas import Validator
from server.events.envelope import Sent, signed_envelope

STREAM = "GetNodeEvents"
LONGEST_VALUE = 40
# The member of an event that tells its type.
EVENT_TYPE = "type"


@dataclass(frozen=True, slots=True)
class _Breach:
    """Something that is sent although the rule at ``path`` does not allow it.

    ``topic`` is the word or the member, where the rule may be about several.
    """

    path: Path
    sentence: str
    topic: str = ""
    is_key: bool = False


def sample_faults(
    contract: Contract, operations: Mapping[str, AnyOperation]
) -> Iterator[ContractFault]:
    """Each rule of an answer that a sample breaks, once, with the operations that send it."""
    found: dict[Path, list[tuple[str, _Breach]]] = {}
    for name, breach in _breaches(contract, operations):
        found.setdefault(breach.path, []).append((name, breach))
    for path, breaches in found.items():
        first, *others = dict.fromkeys(name for name, _ in breaches)
        more = f" and {len(others)} more" if others else ""
        _, *topics = dict.fromkeys(breach.topic for _, breach in breaches)
        also = f"; also {', '.join(topics)}" if topics else ""
        sentence = f"{first}{more}: {breaches[0][1].sentence}{also}"
        yield ContractFault(path, sentence, breaches[0][1].is_key)


def _breaches(
    contract: Contract, operations: Mapping[str, AnyOperation]
) -> Iterator[tuple[str, _Breach]]:
    for name, answers in sample_answers(contract, operations).items():
        declared, operation = contract.operations.get(name), operations.get(name)
        for answer in answers if declared and operation else ():
            assert declared is not None and operation is not None
            sent = {**operation.headers, **answer.headers}
            optional = {name.lower() for name in operation.sent_headers}
            complete = replace(answer, headers=sent)
            for breach in _answer_breaches(contract, declared, complete, optional):
                yield name, breach
    if STREAM in contract.operations:
        for breach in _event_breaches(contract, contract.operations[STREAM]):
            yield STREAM, breach


def _answer_breaches(
    contract: Contract, declared: OperationContract, answer: Answer, optional: Collection[str]
) -> Iterator[_Breach]:
    """``optional``: the lower-case names of the headers that not every answer has."""
    response = declared.responses.get(answer.status)
    if response is None:
        return  # told by answer_faults
    place = _place(contract, declared, answer.status)
    sent = {name.lower(): text for name, text in answer.headers.items()}
    for header in response.headers:
        text = sent.get(header.name.lower())
        at = canonical_path(contract.document, (*place, "headers", header.name))
        if text is None and header.required and header.name.lower() in optional:
            sentence = f"{header.name} is required, and there are answers without it"
            yield _Breach((*at, "required"), sentence)
        fault = None if text is None else header.fault(text)
        if fault is not None:
            path = contract.path_of_rule(fault.rule, (*at, "schema"))
            keyword = fault.rule.rpartition("/")[2]
            sentence = f"{header.name} can be {_shown(text)}, which {keyword} does not allow"
            yield _Breach(path, sentence)
    media_type = (answer.media_type or "").partition(";")[0]
    if not response.media and not media_type:
        return
    if media_type in response.media:
        schema = (*place, "content", media_type, "schema")
        value = value_of(answer)
        yield from _value_breaches(contract, response.media[media_type].validator, schema, value)
    elif all(map(MEDIA_TYPE.fullmatch, response.media)):  # else told by unsupported_faults
        media = (*place, "content", next(iter(response.media))) if response.media else place
        sentence = f"sends {media_type or 'no body'}, which is not declared"
        yield _Breach(media, sentence, is_key=bool(response.media))


def _value_breaches(
    contract: Contract, validator: Validator, schema: Path, value: Any
) -> Iterator[_Breach]:
    for fault in () if validator.is_valid(value) else validator.faults(value):
        path = contract.path_of_rule(fault.rule, schema)
        at = f" at {fault.pointer}" if fault.pointer else ""
        name, keyword = fault.absent_or_undeclared, fault.rule.rpartition("/")[2]
        if name is None:
            found = _shown(resolve_pointer(value, f"#{fault.pointer}"))
            topic = found if keyword == "enum" else ""
            yield _Breach(path, f"can answer {found}{at}, which {keyword} does not allow", topic)
        elif keyword == "required":
            sentence = f"{name} is required{at}, and there are answers without it"
            yield _Breach((*path, _index(contract, path, name)), sentence)
        else:
            sentence = f"can answer {name}{at}, which is not declared"
            holder = path[:-1] if path[-1] == "additionalProperties" else path
            yield _Breach((*holder, "properties"), sentence, name)


def _index(contract: Contract, path: Path, name: str) -> int:
    """The position of a name in the list at a path."""
    names: list[str] = part_at(contract.document, path)
    return names.index(name)


def _event_breaches(contract: Contract, declared: OperationContract) -> Iterator[_Breach]:
    response = declared.responses.get(HTTPStatus.OK)
    if response is None or EVENT_STREAM not in response.media:
        yield _Breach(_place(contract, declared), f"sends {EVENT_STREAM}, which is not declared")
        return
    place = (*_place(contract, declared, HTTPStatus.OK), "content", EVENT_STREAM, "schema")
    schema = canonical_path(contract.document, place)
    mapping = part_at(contract.document, schema)["discriminator"]
    if mapping["propertyName"] != EVENT_TYPE:
        sentence = f"the type of an event is in its member {EVENT_TYPE}"
        yield _Breach((*schema, "discriminator", "propertyName"), sentence)
    for kind, envelope in sample_envelopes():
        validator = response.media[EVENT_STREAM].events.get(kind)
        if validator is None:
            sentence = f"sends {kind}, which has no schema here"
            yield _Breach((*schema, "discriminator", "mapping"), sentence, kind)
            continue
        of_type = parse_pointer(schema_reference(mapping["mapping"][kind]))
        is_shared = [*mapping["mapping"].values()].count(mapping["mapping"][kind]) > 1
        if is_shared and not validator.is_valid(envelope):
            sentence = f"{of_type[-1]} is not the schema of {kind}"
            yield _Breach((*schema, "discriminator", "mapping", kind), sentence)
            continue
        yield from _value_breaches(contract, validator, of_type, envelope)


def sample_envelopes() -> Iterator[tuple[str, Any]]:
    """The type and the signed envelope of each sample of an event."""
    for event, moment in zip(EVENTS, cycle(MOMENTS), strict=False):
        scope = f"node:{ID}" if moment.microsecond else f"domain:{ID}"
        yield event.type, json.loads(signed_envelope(Sent(ID, scope, event), _Signer(), moment))


def _place(contract: Contract, declared: OperationContract, *status: int) -> Path:
    path = ("paths", declared.path, declared.method.lower(), "responses", *map(str, status))
    return canonical_path(contract.document, path)


class _Signer:
    """Signatures of the right form that verify nothing."""

    key_id = "0123456789abcdef"

    def sign(self, data: bytes) -> bytes:
        return bytes.fromhex("fbefbe00") * 16


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
