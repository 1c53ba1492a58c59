"""Counts of answers, operation x status x times, and the complaints that follow from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.tables import AUDIT, REACHED
from tests.fuzz.complaints import of_exchange
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.links import declared_links

FUZZED, DIRECTED = "fuzzed", "directed"
NO_OPERATION = "-"
# What a status stands for in the audit table; the table says which operations leave such a row.
AUDITED = {
    200: "granted",
    201: "granted",
    204: "granted",
    304: "granted",
    403: "insufficient_relation",
}
# Of each operation, outcome and source, whose audit rows are looked for.
SAMPLED = 16
# Of fewer valid cases no share is asked, but that one reaches a 2xx.
FEW = 10
# Schemathesis' phases in which every operation has a case; STATEFUL follows the links of the file.
PHASES = ("examples", "coverage", "fuzzing")
# Only a standby or a restored copy can be behind, and the run has one Postgres
# (tests/e2e/test_ledger_position.py).
UNSEEN = ("ledger_behind",)
COUNTED = ("seen", "codes", "audited", "sampled", "phases", "links")
STATEFUL, MADE = "stateful", " -> [201] "


@dataclass
class Tally:
    """Counts by (operation, status, source); `valid` and `reached` of Schemathesis' valid cases.

    `links` are steps that a link led to a 2xx or 304, by (link, source).
    """

    seen: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    codes: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    valid: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    audited: Counter[tuple[str, str]] = field(default_factory=Counter)
    sampled: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    phases: Counter[tuple[str, str]] = field(default_factory=Counter)
    links: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)

    def add(
        self, exchange: Exchange, source: str, valid: bool = False, seconds: float = 0.0
    ) -> None:
        """One answer. Only what Schemathesis meant to be valid counts for the share."""
        name = exchange.name
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.seen[name, exchange.status, source] += 1
        code = (exchange.problem or {}).get("code")
        if code:
            self.codes[name, exchange.status, str(code)] += 1
        if valid:
            self.valid[name] += 1
            self.reached[name] += exchange.succeeded
        outcome = AUDITED.get(exchange.status, "")
        if outcome not in AUDIT.get(name, ()):
            return
        mark, sample = exchange.received.get("x-correlation-id", ""), (name, outcome, source)
        if (mark, outcome) in self.audited:  # needs as many rows as it came times
            self.audited[mark, outcome] += 1
        elif self.sampled[sample] < SAMPLED:
            self.audited[mark, outcome] = 1
            self.sampled[sample] += 1

    def fail(self, check: str, complaint: str, exchange: Exchange) -> None:
        """The first of each check is kept with where it happened."""
        if check not in self.failures:
            where = f"{exchange.method} {exchange.path[:120]} -> {exchange.status}"
            self.failures[check] = of_exchange(f"{check}: {complaint} ({where})", exchange)

    def times(self, name: str, status: int) -> int:
        return sum(self.seen[name, status, source] for source in (FUZZED, DIRECTED))

    def share(self, name: str) -> float | None:
        """Of the valid cases, those that ended in a 2xx or 304; None without any."""
        return self.reached[name] / self.valid[name] if self.valid[name] else None

    def rate(self, name: str) -> float | None:
        """Fuzzed cases a second of waiting for answers; None without any."""
        cases = sum(
            n
            for (operation, _, source), n in self.seen.items()
            if (operation, source) == (name, FUZZED)
        )
        return cases / self.seconds[name] if self.seconds.get(name) else None

    def breaches(self) -> list[str]:
        """The faults of single answers."""
        return [complaint for _, complaint in sorted(self.failures.items())]

    def complaints(self, phases: Sequence[str] = PHASES) -> list[str]:
        """Every declared status and code seen, nothing undeclared, and the inside reached."""
        found = self.breaches()
        for name, operation in CONTRACT.operations.items():
            for status, declared in operation.responses.items():
                if not self.times(name, status):
                    found.append(f"{name} {status}: declared and never seen")
                found += [
                    f"{name} {status} {code}: declared and never seen"
                    for code in declared.problem_codes
                    if not self.codes[name, status, code] and code not in UNSEEN
                ]
            if not any(self.seen[name, status, FUZZED] for status in operation.responses):
                found.append(f"{name}: never fuzzed")
            found += [
                f"{name}: no case of {phase}" for phase in phases if not self.phases[name, phase]
            ]
            least, share = REACHED.get(name), self.share(name)
            if name not in REACHED:
                found.append(f"{name} is in no fuzz table")
            is_few = self.valid[name] < FEW and self.reached[name] > 0
            if least is not None and not is_few and (share is None or share < least):
                shown = "none" if share is None else f"{share:.0%}"
                found.append(f"{name}: {shown} of the valid cases reach a 2xx, not {least:.0%}")
        for name, status, _ in self.seen:
            known = CONTRACT.operations.get(name)
            if known is not None and status not in known.responses:
                found.append(f"{name} {status}: seen and not declared")
        return list(dict.fromkeys([*found, *self._unlinked()]))

    def _unlinked(self) -> list[str]:
        """Links of the file that lead nowhere, and a stateful phase that stays outside.

        Schemathesis draws by chance which links it follows, and infers some; one of them at least
        has to lead to what a case has made.
        """
        links = [link.label for link in declared_links(CONTRACT.document)]
        idle = [
            f"{label}: never followed to a 2xx"
            for label in links
            if not any(self.links[label, source] for source in (FUZZED, DIRECTED))
        ]
        if not any(MADE in label for label, source in self.links if source == FUZZED):
            idle.append(f"{STATEFUL}: no case reached what another had made")
        return idle if links else [f"no link in the contract: no case of {STATEFUL}"]

    def save(self, file: Path) -> None:
        file.write_text(
            json.dumps(
                {
                    **{
                        name: [[*key, times] for key, times in getattr(self, name).items()]
                        for name in COUNTED
                    },
                    **{name: dict(getattr(self, name)) for name in ("valid", "reached")},
                    "seconds": self.seconds,
                    "failures": self.failures,
                }
            )
        )

    def merge(self, file: Path) -> None:
        """Add the counts of another process."""
        found = json.loads(file.read_text())
        for name in COUNTED:
            getattr(self, name).update({tuple(row[:-1]): row[-1] for row in found[name]})
        for name in ("valid", "reached"):
            getattr(self, name).update(found[name])
        self.seconds = found["seconds"]
        self.failures = {**found["failures"], **self.failures}
