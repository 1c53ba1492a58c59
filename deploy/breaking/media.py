"""Bodies by media type, and headers: what a response and a request body have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deploy.breaking.documents import Place
from deploy.breaking.findings import Finding, Report, Severity
from deploy.breaking.resolved import Shapes
from deploy.breaking.schemas import SchemaWalk
from deploy.breaking.verdicts import ACCEPTED, Way

PROBLEM = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two versions and where their findings go; ``where`` is the operation, and what of it.

    ``walked`` holds what is known of pairs of schemas: most operations share most of theirs.
    """

    old: Shapes
    new: Shapes
    report: Report
    where: str = ""
    walked: dict[tuple[object, ...], list[tuple[Finding, str]]] = field(default_factory=dict)

    def within(self, part: str) -> Pair:
        """The same, one step further in."""
        return replace(self, where=f"{self.where} {part}".strip())

    def members(self, old: Place | None, new: Place | None) -> tuple[dict[str, Place], ...]:
        """What two objects hold."""
        return self.old.document.mapping(old), self.new.document.mapping(new)

    def breaking(self, pointer: str, change: str, why: str) -> None:
        """Add what breaks a client."""
        self.report.add(Finding(Severity.BREAKING, pointer, change, why), self.where)

    def harmless(self, pointer: str, change: str, why: str) -> None:
        """Add what breaks nobody."""
        self.report.add(Finding(Severity.HARMLESS, pointer, change, why), self.where)

    def schemas(
        self, way: Way, old: Place | None, new: Place | None, enum_elsewhere: str | None = None
    ) -> None:
        """Compare what two schemas admit."""
        key = (id(self.old.of(old)), id(self.new.of(new)), way, enum_elsewhere)
        if key not in self.walked:
            walk = SchemaWalk(self.old, self.new, way, enum_elsewhere)
            walk.compare(old, new)
            self.walked[key] = walk.found
        for finding, at in self.walked[key]:
            self.report.add(finding, f"{self.where} {at}".strip())


def compare_content(pair: Pair, way: Way, old: Place | None, new: Place | None) -> None:
    """The media types of a body, and their schemas."""
    before, after = (by_essence(one) for one in pair.members(old, new))
    sent = way is Way.SENT
    for media, place in before.items():
        if media not in after:
            why = "a client that reads it gets nothing it can read" if sent else "it is now refused"
            pair.breaking(place.pointer, f"media type {media} is gone", why)
            continue
        one, other = pair.members(place, after[media])
        codes = "code" if sent and media == PROBLEM else None
        pair.schemas(way, one.get("schema"), other.get("schema"), enum_elsewhere=codes)
        if not sent and said(one, "encoding") != said(other, "encoding"):
            why = "a body made the old way is read differently"
            pair.breaking(after[media].pointer, f"encoding of {media} has changed", why)
    for media in [one for one in after if one not in before]:
        why = "a client says what it accepts" if sent else ACCEPTED
        pair.harmless(after[media].pointer, f"media type {media} is new", why)


def compare_headers(pair: Pair, old: Place | None, new: Place | None) -> None:
    """Response headers; their names know no case."""
    before, after = pair.members(old, new)
    lower = {name.lower(): name for name in after}
    for name, place in before.items():
        at = pair.within(f"header {name}")
        if name.lower() not in lower:
            at.breaking(place.pointer, f"header {name} is gone", "a client reads it")
            continue
        one, other = pair.members(place, after[lower[name.lower()]])
        pointer = pair.new.document.follow(after[lower[name.lower()]]).pointer
        was, now = (said(each, "required") is True for each in (one, other))
        if was and not now:
            why = "a client that relies on it may not find it"
            at.breaking(pointer, f"header {name} is no longer required", why)
        elif now and not was:
            why = "a client that copes without it still does"
            at.harmless(pointer, f"header {name} is now required", why)
        at.schemas(Way.SENT, one.get("schema"), other.get("schema"))
    known = {name.lower() for name in before}
    for name in [one for one in after if one.lower() not in known]:
        why = "a client ignores headers it does not know"
        pair.harmless(after[name].pointer, f"header {name} is new", why)


def by_essence(content: Mapping[str, Place]) -> dict[str, Place]:
    """Media types as they compare: spaces and case say nothing."""
    return {media.lower().replace(" ", ""): place for media, place in content.items()}


def said(members: Mapping[str, Place], key: str) -> object:
    """The plain value of a member; None where there is none."""
    found = members.get(key)
    return None if found is None else found.value
