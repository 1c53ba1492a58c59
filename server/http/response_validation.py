"""Every answer against the contract, before it leaves.

One place decides status, media type, header values and body for *all* answers, the framework's own
included. A block that was valid once and has not changed is not validated again; nothing is served
that never was. Nothing here raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache

from handlers.answers import PROBLEM
from handlers.wire import Block, SnapshotBody
from server.authn.strict import json_value
from server.contract.document import Contract, HeaderContract, MediaContract, ResponseContract
from server.contract.schemas import Fault, Validator
from server.http.response_blocks import as_sent, decoded, is_whole_cut

CORRELATION, ALLOW = "X-Correlation-Id", "Allow"
NOT_DECLARED = 405
MAX_DEPTH = 64  # deeper than anything that is declared
JSON_SUFFIXES = ("/json", "+json")
REMEMBERED_BYTES = 64 * 1024 * 1024
ENTRY_BYTES = 300  # what an entry costs beside its bytes (measured)


@dataclass(frozen=True, slots=True)
class Breach:
    """What was wrong with an answer: two pointers or a name, never a value."""

    part: str
    pointer: str
    rule: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer as it is about to leave. ``snapshot`` is set only while ``body`` is its bytes;
    ``charset`` is what the media type names, if it names any.

    ``headers`` are by lower-case name; ``again`` holds the further values of those sent twice.
    """

    operation_id: str | None
    status: int
    media_type: str | None
    headers: Mapping[str, str]
    body: bytes
    snapshot: SnapshotBody | None = None
    charset: str | None = None
    again: tuple[tuple[str, str], ...] = ()

    def values(self, header: str) -> tuple[str, ...]:
        """Every value that is sent of a header: a reader may take any of them."""
        name = header.lower()
        first = (self.headers[name],) if name in self.headers else ()
        return (*first, *(value for one, value in self.again if one == name))


class ResponseValidator:
    """Compiled once per process; thread-safe."""

    def __init__(self, contract: Contract, remembered_bytes: int = REMEMBERED_BYTES) -> None:
        self._contract = contract
        # Keyed by content: a mutated block is another key. A Domain's array is one object for all
        # its Nodes, so its hash is computed once and the lookup compares identities.
        self._valid: LRUCache[tuple[Validator, bytes], int] = LRUCache(
            remembered_bytes, getsizeof=lambda size: size
        )
        self._lock = Lock()

    def breach(self, outgoing: Outgoing) -> Breach | None:
        """The first thing the contract does not declare, or None."""
        try:
            return self._breach(outgoing)
        except Exception as error:  # a validator that fails has validated nothing
            return Breach("validation", "", type(error).__name__)

    def _breach(self, outgoing: Outgoing) -> Breach | None:
        if outgoing.charset not in (None, "utf-8"):
            return Breach("media type", "", "not UTF-8")
        if outgoing.operation_id is None:
            return self._problem_breach(outgoing)
        operation = self._contract.operations[outgoing.operation_id]
        declared = operation.responses.get(outgoing.status)
        if declared is None:
            return Breach("status", "", f"{outgoing.status} is not declared")
        return self._header_breach(declared, outgoing) or self._body_breach(declared, outgoing)

    def _problem_breach(self, outgoing: Outgoing) -> Breach | None:
        """Unknown routes and undeclared methods belong to no operation: Problem alone.

        No declaration lists their headers, so the two that they need are named here.
        """
        if outgoing.media_type != PROBLEM:
            return Breach("media type", "", "not a Problem")
        needed = (CORRELATION, ALLOW) if outgoing.status == NOT_DECLARED else (CORRELATION,)
        for name in needed:
            if not all(outgoing.values(name) or ("",)):
                return Breach("header", name, "/required")
        return _value_breach(self._contract.problem, outgoing) or _status_breach(outgoing)

    def _header_breach(self, declared: ResponseContract, outgoing: Outgoing) -> Breach | None:
        for header in declared.headers:
            breach = _one_header_breach(header, outgoing.values(header.name))
            if breach is not None:
                return breach
        return None

    def _body_breach(self, declared: ResponseContract, outgoing: Outgoing) -> Breach | None:
        if not declared.media:
            if outgoing.body or outgoing.media_type is not None:
                return Breach("body", "", "no body is declared")
            return self._stood_for_breach(outgoing)
        media = declared.media.get(outgoing.media_type or "")
        if media is None:
            return Breach("media type", "", "not declared for this status")
        if outgoing.media_type == PROBLEM:
            return _value_breach(media.validator, outgoing) or _problem_agreement(
                declared, outgoing
            )
        if outgoing.snapshot is not None:
            return self._snapshot_breach(media, outgoing.snapshot)
        if outgoing.media_type is not None and outgoing.media_type.endswith(JSON_SUFFIXES):
            return _value_breach(media.validator, outgoing)
        return self._text_breach(media.validator, outgoing)

    def _stood_for_breach(self, outgoing: Outgoing) -> Breach | None:
        """A 304 confirms a body: it has to be one that a 200 could have had."""
        if outgoing.snapshot is None or outgoing.operation_id is None:
            return None
        whole = self._contract.operations[outgoing.operation_id].responses[200]
        return self._snapshot_breach(whole.media["application/json"], outgoing.snapshot)

    def _text_breach(self, validator: Validator, outgoing: Outgoing) -> Breach | None:
        """A text that comes again (it has an ETag), such as the page's script, is read once."""
        key = (validator, outgoing.body)
        if self._is_known(key):
            return None
        fault = validator.fault(outgoing.body.decode("utf-8"))
        if fault is None and "etag" in outgoing.headers:
            self._remember(key)
        return _from_fault("body", fault)

    def _snapshot_breach(self, media: MediaContract, body: SnapshotBody) -> Breach | None:
        if media.blocks is None:
            return _from_fault("body", media.validator.fault(decoded(body.to_bytes())))
        names = [block.name for block in body.blocks]
        missing = media.blocks.required - set(names)
        if missing or len(set(names)) != len(names):
            return Breach("body", "", "/required")
        for block in body.blocks:
            validator = media.blocks.properties.get(block.name)
            if validator is None:
                return Breach("body", f"/{block.name}", "/additionalProperties")
            by_element = block.name in media.blocks.by_element
            breach = self._block_breach(block, validator, by_element)
            if breach is not None:
                return breach
        return None

    def _block_breach(self, block: Block, validator: Validator, by_element: bool) -> Breach | None:
        if not is_whole_cut(block):
            return Breach("body", f"/{block.name}", "cut inside an element")
        if not by_element:
            block = as_sent(block)
        # By its validator: two operations may have a block of one name and of two schemas.
        key = (validator, block.source)
        if not self._is_known(key):
            fault = validator.fault(decoded(block.source))
            if fault is not None:
                return Breach("body", f"/{block.name}{fault.pointer}", fault.rule)
            if block.lasts:
                self._remember(key)
        return None

    def _is_known(self, key: tuple[Validator, bytes]) -> bool:
        with self._lock:
            return self._valid.get(key) is not None  # and not `in`: what is in use is to stay

    def _remember(self, key: tuple[Validator, bytes]) -> None:
        size = len(key[1]) + ENTRY_BYTES
        if size <= self._valid.maxsize:
            with self._lock:
                self._valid[key] = size


def _one_header_breach(header: HeaderContract, values: Sequence[str]) -> Breach | None:
    if header.required and not values:
        return Breach("header", header.name, "/required")
    for value in values:
        number = header.schema_type == "integer" and value.isascii() and value.isdigit()
        fault = header.validator.fault(int(value) if number else value)
        if fault is not None:
            return _from_fault(f"header {header.name}", fault)
    return None


def _value_breach(validator: Validator, outgoing: Outgoing) -> Breach | None:
    try:
        # no key twice, no NaN, no lone surrogate: two readers would see two answers
        value = json_value(outgoing.body, MAX_DEPTH)
    except ValueError:
        return Breach("body", "", "not JSON")
    return _from_fault("body", validator.fault(value))


def _problem_agreement(declared: ResponseContract, outgoing: Outgoing) -> Breach | None:
    """What a schema cannot say: a Problem's status and code are those of its response."""
    codes = declared.problem_codes or (None,)
    if json.loads(outgoing.body).get("code") not in codes:
        return Breach("body", "/code", "not declared for this status")
    return _status_breach(outgoing)


def _status_breach(outgoing: Outgoing) -> Breach | None:
    if json.loads(outgoing.body)["status"] != outgoing.status:
        return Breach("body", "/status", "unlike the HTTP status")
    return None


def _from_fault(part: str, fault: Fault | None) -> Breach | None:
    return None if fault is None else Breach(part, fault.pointer, fault.rule)
