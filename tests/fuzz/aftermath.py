"""The checks when the requests are over: reports, output, audit rows."""

from __future__ import annotations

import time

from tests.fuzz.tally import Tally
from tests.ledger_sql import run_sql

# Rows are visible within a second; a busy machine gets more.
AUDIT_S = 5.0


def lost_workers(output: str) -> list[str]:
    """A thread of Schemathesis that died of an error of its own leaves its exit status at 0."""
    lost = output.count("Exception in thread")
    return [f"Schemathesis lost {lost} workers: see its output"] if lost else []


def missing_audit(dsn: str, tally: Tally) -> list[str]:
    """Each sampled answer that the audit table speaks of has its row, in the time rows may take."""
    marks = sorted({mark for mark, _ in tally.audited})
    until = time.monotonic() + AUDIT_S
    while True:
        rows = run_sql(
            dsn,
            "SELECT correlation_id, outcome, count(*) FROM plexsphere.audit_rows"
            " WHERE correlation_id = ANY(%s) GROUP BY correlation_id, outcome",
            (marks,),
        )
        found = {(mark, outcome): times for mark, outcome, times in rows}
        missing = [
            f"audit: {found.get(key, 0)} rows of {key[1]} for {times} answers, {key[0]}"
            for key, times in tally.audited.items()
            if found.get(key, 0) < times
        ]
        if not missing or time.monotonic() > until:
            return missing
        time.sleep(0.1)
