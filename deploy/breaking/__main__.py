"""python -m deploy.breaking BASE: is the contract of the working tree safe for BASE's clients?

The comparison is with the merge base of BASE and HEAD, without the later edits of BASE.
Exit code 0 when no edit breaks a client, 1 when one does, 2 when there is nothing to compare.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deploy.breaking.documents import Document, Unreadable
from deploy.breaking.findings import Report, Severity
from deploy.breaking.operations import compare
from server.contract.document import CONTRACT_FILE

CONTRACT = f"api/{CONTRACT_FILE}"
SAFE, BROKEN, NOTHING_TO_COMPARE = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Compare, print one line for each finding and a summary; the exit code."""
    try:
        if len(arguments) != 1 or not arguments[0].strip():
            raise Unreadable("name the version to compare with: make breaking BASE=<git ref>.")
        commit, base = fork(arguments[0])
        old = Document.parse(show(commit, base), f"{CONTRACT} at {base}")
        new = Document.parse(working_copy(), CONTRACT)
        report = compare(old, new)
    except Unreadable as reason:
        print(f"plexsphere-state: {reason}", file=sys.stderr)
        return NOTHING_TO_COMPARE
    for line in report.lines(new):
        print(line)
    print(summary(report, base))
    return BROKEN if report.breaks else SAFE


def fork(base: str) -> tuple[str, str]:
    """The merge base of a base and HEAD, and its name in messages. Raises Unreadable."""
    base_commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}")
    if base_commit.returncode:
        reason = base_commit.stderr.decode(errors="replace").strip().splitlines()
        raise Unreadable(reason[0] if reason else f"git knows no commit {base}.")
    left = _git("merge-base", base_commit.stdout.decode().strip(), "HEAD")
    if left.returncode:
        raise Unreadable(f"{base} and HEAD have no commit in common: fetch more of their history.")
    commit = left.stdout.decode().strip()
    moved_on = left.stdout != base_commit.stdout
    return commit, f"{base} as of {commit[:12]}, where HEAD left it" if moved_on else base


def show(commit: str, base: str) -> bytes:
    """The contract as it stood at a commit. Raises Unreadable."""
    shown = _git("show", f"{commit}:./{CONTRACT}")
    if shown.returncode:
        raise Unreadable(f"there is no {CONTRACT} at {base}.")
    return shown.stdout


def working_copy() -> bytes:
    """The contract as it stands now. Raises Unreadable."""
    try:
        return Path(CONTRACT).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot read {CONTRACT}: {error.strerror}.") from error


def summary(report: Report, base: str) -> str:
    """The number of findings of each severity."""
    seen = Counter(finding.severity for finding in report.places)
    counts = ", ".join(
        f"{seen[severity]} {severity.value}" for severity in Severity if seen[severity]
    )
    return f"{CONTRACT} against {base}: {counts or 'no difference a client could see'}"


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True)
    except OSError as error:
        raise Unreadable("git is needed to read the earlier version, and is not here.") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
