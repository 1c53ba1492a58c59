"""Validates every answer against the contract before it leaves.

Status, media type, headers and body of *all* answers are validated here, the framework's own
included. A block whose bytes were valid before is not validated again. ``breach`` never raises.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from weakref import WeakKeyDictionary

from composer.memory import Memory
from handlers.answers import PROBLEM
from handlers.compression import Pieces
from handlers.peers import JoinedArray
from handlers.wire import Block, SnapshotBody
from server.authn.strict import json_value
from server.contract.document import Contract, HeaderContract, MediaContract, ResponseContract
from server.contract.schemas import Validator, ValueFault

CORRELATION, ALLOW = "X-Correlation-Id", "Allow"
NOT_DECLARED = 405
MAX_DEPTH = 64  # deeper than any declared schema
JSON_SUFFIXES = ("/json", "+json")
VALIDATING = 16
REMEMBERED_BYTES = 64 * 1024 * 1024
HEADERS_BYTES = 4 * 1024 * 1024  # most are ETags


@dataclass(frozen=True, slots=True)
class Breach:
    """The breach of the contract by an answer: pointers and names, never a value."""

    part: str
    pointer: str
    rule: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer before it leaves.

    - ``headers``: by lower-case name; ``repeated`` has the further values of a header sent twice.
    - ``body``: Pieces only with a ``snapshot``.
    - ``snapshot``: set only where ``body`` is its bytes, or where a 304 confirms it.
    - ``charset``: of the media type; None where it names none.
    """

    operation_id: str | None
    status: int
    media_type: str | None
    headers: Mapping[str, str]
    body: bytes | Pieces
    snapshot: SnapshotBody | None = None
    charset: str | None = None
    repeated: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> bytes:
        """The body of what is no snapshot."""
        return self.body.joined() if isinstance(self.body, Pieces) else self.body

    def values(self, header: str) -> tuple[str, ...]:
        """Every value of a header, because a client may read any of them."""
        wanted = header.lower()
        first = (self.headers[wanted],) if wanted in self.headers else ()
        if not self.repeated:
            return first
        return (*first, *(value for name, value in self.repeated if name == wanted))


class ResponseValidator:
    """Compiled once per process; thread-safe."""

    def __init__(self, contract: Contract, remembered_bytes: int = REMEMBERED_BYTES) -> None:
        self._contract = contract
        # Keyed by content, so a changed block has another key. The ``peers`` array of a Domain is
        # one bytes object for all its Nodes: Python hashes it once and compares it by identity.
        self._valid: Memory[bool] = Memory(remembered_bytes)
        self._valid_headers: Memory[bool] = Memory(HEADERS_BYTES)
        # Large arrays are known by the parts they were joined of, and their bytes by identity.
        self._valid_arrays: WeakKeyDictionary[JoinedArray, tuple[bytes, Validator]] = (
            WeakKeyDictionary()
        )
        # After a change of a large Domain many answers bring its array at once: one of them
        # validates it. Several locks, so that Domains seldom wait for each other.
        self._validating = tuple(Lock() for _ in range(VALIDATING))

    def breach(self, outgoing: Outgoing) -> Breach | None:
        """The first breach of the contract, or None."""
        try:
            return self._breach(outgoing)
        except Exception as error:  # a validator that failed has not validated the answer
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
        """Checks the Problem of an unknown route or an undeclared method.

        It belongs to no operation, so the contract cannot declare its headers.
        """
        if outgoing.media_type != PROBLEM:
            return Breach("media type", "", "not a Problem")
        required = (CORRELATION, ALLOW) if outgoing.status == NOT_DECLARED else (CORRELATION,)
        for name in required:
            if not all(outgoing.values(name) or ("",)):
                return Breach("header", name, "/required")
        return _value_breach(self._contract.problem, outgoing) or _status_breach(outgoing)

    def _header_breach(self, declared: ResponseContract, outgoing: Outgoing) -> Breach | None:
        for header in declared.headers:
            values = outgoing.values(header.name)
            key = (header.validator, values)
            if self._valid_headers.get(key):
                continue
            breach = _header_value_breach(header, values)
            if breach is not None:
                return breach
            if header.name != CORRELATION:  # that of each request is another
                self._valid_headers.put(key, True, sum(map(len, values)))
        return None

    def _body_breach(self, declared: ResponseContract, outgoing: Outgoing) -> Breach | None:
        if not declared.media:
            if outgoing.body or outgoing.media_type is not None:
                return Breach("body", "", "no body is declared")
            return self._confirmed_breach(outgoing)
        media = declared.media.get(outgoing.media_type or "")
        if media is None:
            return Breach("media type", "", "not declared for this status")
        if outgoing.media_type == PROBLEM:
            return _value_breach(media.validator, outgoing) or _problem_agreement(
                declared, outgoing
            )
        if media.events:  # the stream begins later, and each of its frames is validated
            return None
        if outgoing.snapshot is not None:
            return self._snapshot_breach(media, outgoing.snapshot)
        if outgoing.media_type is not None and outgoing.media_type.endswith(JSON_SUFFIXES):
            return _value_breach(media.validator, outgoing)
        return self._text_breach(media.validator, outgoing)

    def _confirmed_breach(self, outgoing: Outgoing) -> Breach | None:
        """The snapshot that a 304 confirms must be valid as the body of a 200."""
        if outgoing.snapshot is None or outgoing.operation_id is None:
            return None
        ok = self._contract.operations[outgoing.operation_id].responses[200]
        return self._snapshot_breach(ok.media["application/json"], outgoing.snapshot)

    def _text_breach(self, validator: Validator, outgoing: Outgoing) -> Breach | None:
        """The breach of a text. A text with an ETag (the page's script) is validated once."""
        key = (validator, outgoing.text)
        if self._valid.get(key):
            return None
        fault = validator.fault(outgoing.text.decode("utf-8"))
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
            is_plain = block.cut is None and block.joined is None
            if is_plain and self._valid.get((validator, block.source)):
                continue
            by_element = block.name in media.blocks.by_element
            breach = self._block_breach(block, validator, by_element)
            if breach is not None:
                return breach
        return None

    def _block_breach(self, block: Block, validator: Validator, by_element: bool) -> Breach | None:
        if not is_whole_element_cut(block):
            return Breach("body", f"/{block.name}", "cut inside an element")
        if not by_element:
            block = as_served(block)
        elif block.joined is not None:
            return self._joined_breach(block, block.joined, validator)
        # The validator is part of the key: two operations may have blocks of the same name.
        key = (validator, block.source)
        if self._valid.get(key):
            return None
        with self._validating[hash(block.source) % VALIDATING]:
            if self._valid.get(key):
                return None
            fault = validator.fault(decoded(block.source))
            if fault is not None:
                return Breach("body", f"/{block.name}{fault.pointer}", fault.rule)
            if block.is_cacheable:
                self._remember(key)
        return None

    def _joined_breach(
        self, block: Block, joined: JoinedArray, validator: Validator
    ) -> Breach | None:
        """A large array by its parts, of which a change leaves most as they were.

        Only where it is what its parts are joined to: valid parts make a valid array.
        """
        if self._is_valid_array(joined, block.source, validator):
            return None
        with self._validating[hash(joined) % VALIDATING]:
            if self._is_valid_array(joined, block.source, validator):
                return None
            if joined.joined() == block.source and all(
                self._is_valid_part(text, validator) for text in joined.texts
            ):
                self._valid_arrays[joined] = block.source, validator
                return None
        # As a whole, for the place of the fault; not under the lock, of which it needs another.
        return self._block_breach(replace(block, joined=None), validator, by_element=True)

    def _is_valid_array(self, joined: JoinedArray, source: bytes, validator: Validator) -> bool:
        known = self._valid_arrays.get(joined)
        return known is not None and known[0] is source and known[1] is validator

    def _is_valid_part(self, text: bytes, validator: Validator) -> bool:
        key = (validator, text)
        if not self._valid.get(key):
            if validator.fault(decoded(b"[" + text + b"]")) is not None:
                return False
            self._remember(key)
        return True

    def _remember(self, key: tuple[Validator, bytes]) -> None:
        self._valid.put(key, True, len(key[1]))


def _header_value_breach(header: HeaderContract, values: Sequence[str]) -> Breach | None:
    if header.required and not values:
        return Breach("header", header.name, "/required")
    for value in values:
        fault = header.fault(value)
        if fault is not None:
            return _from_fault(f"header {header.name}", fault)
    return None


def _value_breach(validator: Validator, outgoing: Outgoing) -> Breach | None:
    try:
        # Strict: two clients could read a repeated key, NaN or a lone surrogate differently.
        value = json_value(outgoing.text, MAX_DEPTH)
    except ValueError:
        return Breach("body", "", "not JSON")
    return _from_fault("body", validator.fault(value))


def _problem_agreement(declared: ResponseContract, outgoing: Outgoing) -> Breach | None:
    """A Problem's status and code must be those of its response; no schema can say that."""
    codes = declared.problem_codes or (None,)
    if json.loads(outgoing.text).get("code") not in codes:
        return Breach("body", "/code", "not declared for this status")
    return _status_breach(outgoing)


def _status_breach(outgoing: Outgoing) -> Breach | None:
    if json.loads(outgoing.text)["status"] != outgoing.status:
        return Breach("body", "/status", "unlike the HTTP status")
    return None


def _from_fault(part: str, fault: ValueFault | None) -> Breach | None:
    return None if fault is None else Breach(part, fault.pointer, fault.rule)


def is_whole_element_cut(block: Block) -> bool:
    """Whether the cut removes nothing, or one whole element of an array and one comma.

    What is left is then valid where the whole array is.
    """
    if block.cut is None:
        return True
    start, end = block.cut
    removed = block.source[start:end]
    element = removed[1:] if removed[:1] == b"," else removed.removesuffix(b",")
    is_only_element = start == 1 and end == len(block.source) - 1
    # A bracket, comma or brace comes before an element; a colon before a member of an object.
    before = block.source[start - 1 : start]
    is_array = block.source[:1] == b"[" and before in (b"[", b",", b"}")
    has_comma = len(removed) != len(element)
    return is_array and has_comma != is_only_element and _is_object(element)


def as_served(block: Block) -> Block:
    """The served bytes as a block without a cut, for a schema that is about the whole array."""
    if block.cut is None:
        return block
    return Block(block.name, b"".join(block.chunks()), is_cacheable=False)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(decoded(text), dict)
    except ValueError:
        return False


def decoded(text: bytes) -> object:
    """The value of JSON that this service wrote; ``json.loads`` would also accept UTF-16."""
    return _decode(text.decode("utf-8"))


def _reject_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_reject_constant).decode
