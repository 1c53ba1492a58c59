"""The tables for people: operation x status x times seen, and the links that were followed."""

from __future__ import annotations

from rich.table import Table

from tests.contract.tables import REACHED
from tests.fuzz.exchange import CONTRACT
from tests.fuzz.links import declared_links
from tests.fuzz.outcome import Outcome
from tests.fuzz.tally import DIRECTED, FUZZED, NO_OPERATION, UNSEEN, Tally

HEADINGS = ("operation", "status", "fuzzed", "directed", "2xx or 304 of valid", "answers/s")


def status_table(outcome: Outcome) -> Table:
    """One section an operation; what belongs to none comes last."""
    table = Table(title=f"{outcome.cases_per_second:.0f} cases/s, generation and checks included")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "operation" else "right")
    for name in (*CONTRACT.operations, NO_OPERATION):
        for row in _rows(outcome.tally, name):
            table.add_row(*row)
        table.add_section()
    return table


def shares(outcome: Outcome, command: str) -> str:
    """A page of the documentation: the cases of each operation, and how many reached a 2xx."""
    tally = outcome.tally
    lines = [
        "# Fuzzed cases",
        "",
        f"Made by `{command}`. A valid case is one that the contract admits.",
        "Every declared status and code was seen in such a run, but for "
        f"{' and '.join(f'`{code}`' for code in UNSEEN)}: only a standby or a restored copy of the",
        "ledger can be behind, and the run has one Postgres (`tests/e2e/test_ledger_position.py`).",
        "",
        "| operation | cases | valid | share of 2xx or 304 |",
        "|---|---|---|---|",
    ]
    for name in CONTRACT.operations:
        cases = sum(
            times
            for (operation, _, source), times in tally.seen.items()
            if (operation, source) == (name, FUZZED)
        )
        share = tally.share(name)
        shown = "-" if share is None else f"{share:.0%}"
        lines.append(f"| {name} | {cases} | {tally.valid[name]} | {shown} |")
    return "\n".join(lines) + "\n"


def link_table(outcome: Outcome) -> Table:
    """The links of the file, and those that Schemathesis has inferred and followed."""
    table = Table(title="links followed to a 2xx or 304")
    for heading in ("link", FUZZED, DIRECTED):
        table.add_column(heading, justify="left" if heading == "link" else "right")
    followed = outcome.tally.links
    declared = [link.label for link in declared_links(CONTRACT.document)]
    for link in dict.fromkeys([*declared, *sorted(label for label, _ in followed)]):
        table.add_row(link, *(str(followed[link, source]) for source in (FUZZED, DIRECTED)))
    return table


def _rows(tally: Tally, name: str) -> list[tuple[str, ...]]:
    operation = CONTRACT.operations.get(name)
    declared = set() if operation is None else set(operation.responses)
    found = {status for operation, status, _ in tally.seen if operation == name}
    share = tally.share(name) if REACHED.get(name) else None
    reached = "" if share is None else f"{share:.0%} of {tally.valid[name]}"
    rate = tally.rate(name)
    return [
        (
            "" if index else name,
            str(status),
            *(str(tally.seen[name, status, source]) for source in (FUZZED, DIRECTED)),
            "" if index else reached,
            "" if index or rate is None else f"{rate:.0f}",
        )
        for index, status in enumerate(sorted(declared | found))
    ]
