"""The blocks of an answer as JSON of our own making: read, and cut only between whole elements."""

from __future__ import annotations

import json

from handlers.wire import Block


def is_whole_cut(block: Block) -> bool:
    """Whether what leaves is valid where the whole block is: a valid array without one whole
    element and one comma is, so only the cut is looked at."""
    if block.cut is None:
        return True
    start, end = block.cut
    removed = block.source[start:end]
    element = removed[1:] if removed[:1] == b"," else removed.removesuffix(b",")
    lone = start == 1 and end == len(block.source) - 1
    # what stands before an element of an array; before a member of an object it is a colon
    array = block.source[:1] == b"[" and block.source[start - 1 : start] in (b"[", b",", b"}")
    return array and (len(removed) == len(element)) == lone and isinstance(_parsed(element), dict)


def as_sent(block: Block) -> Block:
    """What leaves as a block of its own, for a schema that speaks of the whole of it."""
    return block if block.cut is None else Block(block.name, b"".join(block.chunks()), lasts=False)


def decoded(text: bytes) -> object:
    """JSON of our own making, whose keys stand in its schema; ``json.loads`` also takes UTF-16."""
    return _decode(text.decode("utf-8"))


def _parsed(text: bytes) -> object:
    try:
        return decoded(text)
    except ValueError:
        return None


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_number).decode
