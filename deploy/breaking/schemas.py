"""Two schemas of one value, compared the way the value travels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from deploy.breaking.documents import Place
from deploy.breaking.facets import Change, Width, changes
from deploy.breaking.findings import Finding, Severity
from deploy.breaking.objects import compare_objects
from deploy.breaking.resolved import Shapes
from deploy.breaking.shapes import Shape
from deploy.breaking.verdicts import Way, verdict


@dataclass(slots=True)
class SchemaWalk:
    """One walk over a pair of schemas; ``found`` holds findings with their places in the value.

    ``enum_elsewhere`` names a top-level property whose enum is compared by other means: which codes
    a Problem can carry is told by ``x-problem-codes``, status by status.
    """

    old: Shapes
    new: Shapes
    way: Way
    enum_elsewhere: str | None = None
    seen: set[tuple[int, int, Way]] = field(default_factory=set)
    found: list[tuple[Finding, str]] = field(default_factory=list)

    def compare(self, old: Place | None, new: Place | None, at: str = "") -> None:
        """Walk both, each pair once: a schema may contain itself. None admits anything."""
        before, after = self.old.of(old), self.new.of(new)
        pair = (id(before), id(after), self.way)
        if pair in self.seen:
            return
        self.seen.add(pair)
        for change in changes(before, after):
            if not (at == self.enum_elsewhere and change.text.startswith("enum ")):
                self.tell(change, (after if new else before).pointer, at)
        if "object" in before.types & after.types:
            compare_objects(self, before, after, at)
        if "array" in before.types & after.types:
            self.compare(before.items, after.items, f"{at}[]")
        self._alternatives(before, after, at)
        self._negations(before, after, at)
        self._default(before, after, at)

    def add(self, finding: Finding, at: str) -> None:
        """Keep a finding."""
        self.found.append((finding, at))

    def tell(self, change: Change, pointer: str, at: str) -> None:
        """Add a change with the verdict that the way of the value gives it."""
        severity, why = verdict(self.way, change.width)
        self.add(Finding(severity, pointer, change.text, why), at)

    def _alternatives(self, before: Shape, after: Shape, at: str) -> None:
        left, right = before.alternatives, after.alternatives
        if not left or not right:
            if left or right:
                width = Width.NARROWER if right else Width.WIDER
                text = f"oneOf or anyOf is {'new' if right else 'gone'}"
                self.tell(Change(width, text), after.pointer, at)
            return
        if before.discriminator != after.discriminator:
            text = f"discriminator {before.discriminator} -> {after.discriminator}"
            self.tell(Change(Width.OTHER, text), after.pointer, at)
        for one in right:
            if not any(self._fits(Way.SENT, other, one) for other in left):
                text = "an alternative is new, or wider than it was"
                self.tell(Change(Width.WIDER, text), one.pointer, at)
        for one in left:
            if not any(self._fits(Way.TAKEN, one, other) for other in right):
                text = "an alternative is gone, or narrower than it was"
                self.tell(Change(Width.NARROWER, text), one.pointer, at)

    def _negations(self, before: Shape, after: Shape, at: str) -> None:
        gained = lost = False
        if len(before.negated) == len(after.negated):
            for was, now in zip(before.negated, after.negated, strict=True):
                # What is ruled out is turned round: less of it is more of everything else.
                gained |= not self._fits(Way.TAKEN, was, now)
                lost |= not self._fits(Way.SENT, was, now)
        else:
            gained = len(after.negated) < len(before.negated)
            lost = not gained
        if gained or lost:
            width = Width.OTHER if gained and lost else Width.WIDER if gained else Width.NARROWER
            self.tell(Change(width, "what `not` rules out has changed"), after.pointer, at)

    def _fits(self, way: Way, old: Place, new: Place) -> bool:
        """Whether nothing would break if this pair were all there is."""
        trial = replace(self, way=way, seen=set(self.seen), found=[])
        trial.compare(old, new)
        return not any(finding.severity is Severity.BREAKING for finding, _ in trial.found)

    def _default(self, before: Shape, after: Shape, at: str) -> None:
        if self.way is Way.TAKEN and before.default not in (None, after.default):
            text = f"default {before.default} -> {after.default or 'none'}"
            why = "a request that leaves it out now means something else"
            self.add(Finding(Severity.BREAKING, after.pointer, text, why), at)
