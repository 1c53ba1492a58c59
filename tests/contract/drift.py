"""Drift gates: each says, by name, where the contract and the code have parted.

Plain functions from what is compared to complaints, so that a test can show each one failing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from handlers.refusals import RefusalKind


def code_complaints(
    declared: set[str], catalogue: Sequence[RefusalKind], documented: str
) -> list[str]:
    """Problem codes of the file, of the catalogue and of docs/problems.md, against each other."""
    known = {kind.code for kind in catalogue if kind.code is not None}
    written = set(re.findall(r"^\| \d{3} \| `([a-z_]+)` \|", documented, re.MULTILINE))
    complaints = [f"code {code} is declared and no refusal has it" for code in declared - known]
    complaints += [f"refusal {code} is not declared" for code in known - declared]
    complaints += [f"code {code} is not in docs/problems.md" for code in declared - written]
    complaints += [
        f"docs/problems.md has {code}, which is not declared" for code in written - declared
    ]
    return sorted(complaints)


def status_complaints(
    declared: set[tuple[int, str | None]], catalogue: Sequence[RefusalKind], documented: str
) -> list[str]:
    """The status beside each code, likewise; a refusal without a code has a dash for one."""
    known = {(kind.status, kind.code) for kind in catalogue}
    rows = re.findall(r"^\| (\d{3}) \| (?:`([a-z_]+)`|-) \|", documented, re.MULTILINE)
    written = {(int(status), code or None) for status, code in rows}
    places = {"the file": declared, "the catalogue": known, "docs/problems.md": written}
    every = set().union(*places.values())
    return sorted(
        f"{code or 'no code'} with {status} is not in {place}"
        for place, pairs in places.items()
        for status, code in every - pairs
    )


def byte_complaints(copies: Mapping[str, bytes]) -> list[str]:
    """Copies of the contract, by where they are from, that are not the first one byte for byte."""
    (first, expected), *others = copies.items()
    return [f"the contract of {name} is not {first}'s" for name, raw in others if raw != expected]


def route_complaints(served: Mapping[str, set[str]], declared: Mapping[str, set[str]]) -> list[str]:
    """URLs and methods that the application serves and the file lacks, and the reverse."""
    complaints = [f"{path} is served and not declared" for path in served.keys() - declared.keys()]
    complaints += [f"{path} is declared and not served" for path in declared.keys() - served.keys()]
    for path in served.keys() & declared.keys():
        if served[path] != declared[path]:
            complaints.append(f"{path}: serves {served[path]}, declares {declared[path]}")
    return sorted(complaints)
