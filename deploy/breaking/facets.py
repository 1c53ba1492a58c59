"""How two shapes differ, rule by rule: does the new one admit more, less, or something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from deploy.breaking.shapes import ANY, LOWER, NULL, UPPER, Bound, Shape

# Every value of the first is one of the second.
_CONTAINED = {("int32", "int64"), ("float", "double")}
_NONE_BELOW: Bound = (float("-inf"), False)
_NONE_ABOVE: Bound = (float("inf"), False)


class Width(Enum):
    """What became of the set of values."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"  # both, or no telling


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that differs."""

    width: Width
    text: str


def changes(old: Shape, new: Shape) -> Iterator[Change]:
    """Every rule that differs, but for what stands inside: properties, items, alternatives."""
    yield from _types(old.types, new.types)
    if not (old.types & new.types) - {NULL}:
        return  # another kind of value altogether: the other rules have nothing in common
    yield from _enum(old.enum, new.enum)
    for name in LOWER:
        before, after = (_lower(name, shape) for shape in (old, new))
        if before != after:
            width = Width.NARROWER if after > before else Width.WIDER
            yield Change(width, f"{name} {_shown(before)} -> {_shown(after)}")
    for name in UPPER:
        before, after = (shape.bounds.get(name, _NONE_ABOVE) for shape in (old, new))
        if before != after:
            narrower = (after[0], not after[1]) < (before[0], not before[1])
            width = Width.NARROWER if narrower else Width.WIDER
            yield Change(width, f"{name} {_shown(before)} -> {_shown(after)}")
    yield from _pile("pattern", old.patterns, new.patterns)
    yield from _pile("format", old.formats, new.formats)
    yield from _multiples(old.multiples, new.multiples)
    if old.unique != new.unique:
        width = Width.NARROWER if new.unique else Width.WIDER
        yield Change(width, f"uniqueItems is now {str(new.unique).lower()}")


def _types(old: frozenset[str], new: frozenset[str]) -> Iterator[Change]:
    # Null is told apart: whether a block may be null is a question of its own.
    before, after = old - {NULL}, new - {NULL}
    if before != after:
        width = _width(gained=bool(after - before), lost=bool(before - after))
        yield Change(width, f"type {_kinds(old)} -> {_kinds(new)}")
    if (NULL in old) != (NULL in new) and ANY not in (old, new):
        gained = NULL in new
        text = "null is now allowed" if gained else "null is no longer allowed"
        yield Change(_width(gained=gained, lost=not gained), text)


def _enum(old: frozenset[str] | None, new: frozenset[str] | None) -> Iterator[Change]:
    if old is None and new is not None:
        yield Change(Width.NARROWER, f"only {_listed(new)} from now on")
    elif new is None and old is not None:
        yield Change(Width.WIDER, f"no longer only {_listed(old)}")
    elif old is not None and new is not None:
        if new - old:
            yield Change(Width.WIDER, f"enum gains {_listed(new - old)}")
        if old - new:
            yield Change(Width.NARROWER, f"enum loses {_listed(old - new)}")


def _pile(name: str, old: frozenset[str], new: frozenset[str]) -> Iterator[Change]:
    if old == new:
        return
    gained, lost = new - old, old - new
    width = _width(gained=bool(lost), lost=bool(gained))  # one rule more admits less
    if len(gained) == len(lost) == 1:
        pair = (*lost, *gained)
        if pair in _CONTAINED:
            width = Width.WIDER
        elif pair[::-1] in _CONTAINED:
            width = Width.NARROWER
    yield Change(width, f"{name} {_bare(old)} -> {_bare(new)}")


def _multiples(old: frozenset[float], new: frozenset[float]) -> Iterator[Change]:
    if old == new:
        return
    narrower = all(any(after % before == 0 for after in new) for before in old)
    wider = all(any(before % after == 0 for before in old) for after in new)
    width = Width.NARROWER if narrower else Width.WIDER if wider else Width.OTHER
    yield Change(width, f"multipleOf {_bare(map(str, old))} -> {_bare(map(str, new))}")


def _lower(name: str, shape: Shape) -> Bound:
    # A length is never below 0, so that saying 0 says nothing.
    floor = _NONE_BELOW if name == "minimum" else (0.0, False)
    return max(shape.bounds.get(name, floor), floor)


def _width(gained: bool, lost: bool) -> Width:
    return Width.OTHER if gained and lost else Width.WIDER if gained else Width.NARROWER


def _shown(bound: Bound) -> str:
    if bound in (_NONE_BELOW, _NONE_ABOVE):
        return "none"
    return f"{bound[0]:.15g}" + (" (exclusive)" if bound[1] else "")


def _kinds(types: frozenset[str]) -> str:
    if types == ANY:
        return "any"
    shown = types - {NULL} - ({"integer"} if "number" in types else set())
    return "|".join(sorted(shown)) or "none"


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(sorted(texts))


def _bare(texts: Iterable[str]) -> str:
    return " and ".join(sorted(texts)) or "none"
