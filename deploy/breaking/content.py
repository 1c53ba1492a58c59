"""Bodies by media type, and headers: the common parts of requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deploy.breaking.documents import Place
from deploy.breaking.findings import Finding, Report, Severity
from deploy.breaking.schemas import ACCEPTED, SchemaWalk
from deploy.breaking.shapes import Shapes
from server.contract.schemas import Direction

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions, and the report of their differences.

    ``where`` is the operation and the part of it. ``walked`` keeps the findings of pairs of
    schemas, because operations share most of their schemas.
    """

    old: Shapes
    new: Shapes
    report: Report
    where: str = ""
    walked: dict[tuple[object, ...], list[tuple[Finding, str]]] = field(default_factory=dict)

    def within(self, part: str) -> Pair:
        """The same pair, for a part of it."""
        return replace(self, where=f"{self.where} {part}".strip())

    def members(self, old: Place | None, new: Place | None) -> tuple[dict[str, Place], ...]:
        """The members of two objects."""
        return self.old.document.mapping(old), self.new.document.mapping(new)

    def breaking(self, pointer: str, change: str, why: str) -> None:
        """Add an edit that breaks a client."""
        self.report.add(Finding(Severity.BREAKING, pointer, change, why), self.where)

    def harmless(self, pointer: str, change: str, why: str) -> None:
        """Add an edit that breaks no client."""
        self.report.add(Finding(Severity.HARMLESS, pointer, change, why), self.where)

    def schemas(
        self,
        direction: Direction,
        old: Place | None,
        new: Place | None,
        enum_elsewhere: str | None = None,
    ) -> None:
        """Compare the values that two schemas admit."""
        key = (id(self.old.of(old)), id(self.new.of(new)), direction, enum_elsewhere)
        if key not in self.walked:
            walk = SchemaWalk(self.old, self.new, direction, enum_elsewhere)
            walk.compare(old, new)
            self.walked[key] = walk.found
        for finding, at in self.walked[key]:
            self.report.add(finding, f"{self.where} {at}".strip())


def compare_content(pair: Pair, direction: Direction, old: Place | None, new: Place | None) -> None:
    """The media types of a body, and their schemas."""
    before, after = map(by_media_type, pair.members(old, new))
    sent = direction is Direction.ANSWER
    for media, place in before.items():
        if media not in after:
            why = "a client that reads it gets nothing it can read" if sent else "it is now refused"
            pair.breaking(place.pointer, f"media type {media} is gone", why)
            continue
        was, now = pair.members(place, after[media])
        codes = "code" if sent and media == PROBLEM else None
        pair.schemas(direction, was.get("schema"), now.get("schema"), enum_elsewhere=codes)
        if not sent and plain(was, "encoding") != plain(now, "encoding"):
            why = "a body made the old way is read differently"
            pair.breaking(after[media].pointer, f"encoding of {media} has changed", why)
    for media in [name for name in after if name not in before]:
        why = "a client says what it accepts" if sent else ACCEPTED
        pair.harmless(after[media].pointer, f"media type {media} is new", why)


def compare_headers(pair: Pair, old: Place | None, new: Place | None) -> None:
    """Response headers; the case of their names has no meaning."""
    before, after = pair.members(old, new)
    lower = {name.lower(): name for name in after}
    for name, place in before.items():
        at = pair.within(f"header {name}")
        if name.lower() not in lower:
            at.breaking(place.pointer, f"header {name} is gone", "a client reads it")
            continue
        was, now = pair.members(place, after[lower[name.lower()]])
        pointer = pair.new.document.follow(after[lower[name.lower()]]).pointer
        was_required, is_required = (plain(header, "required") is True for header in (was, now))
        if was_required and not is_required:
            why = "a client that relies on it may not find it"
            at.breaking(pointer, f"header {name} is no longer required", why)
        elif is_required and not was_required:
            why = "a client that works without it still does"
            at.harmless(pointer, f"header {name} is now required", why)
        at.schemas(Direction.ANSWER, was.get("schema"), now.get("schema"))
    known = {name.lower() for name in before}
    for name in [header for header in after if header.lower() not in known]:
        why = "a client ignores headers it does not know"
        pair.harmless(after[name].pointer, f"header {name} is new", why)


def by_media_type(content: Mapping[str, Place]) -> dict[str, Place]:
    """The content by media type in lower case without spaces: neither has a meaning."""
    return {media.lower().replace(" ", ""): place for media, place in content.items()}


def plain(members: Mapping[str, Place], key: str) -> object:
    """The plain value of a member; None where there is none."""
    place = members.get(key)
    return None if place is None else place.value
