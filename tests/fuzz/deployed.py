"""A deployed service under Schemathesis: ``make fuzz URL=https://... TOKEN=...``.

The configuration is schemathesis.toml beside the Makefile. Nothing here reads the ledger.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import requests

from tests.fuzz.aftermath import lost_workers
from tests.fuzz.exchange import CONTRACT

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 10.0
PROBE, FIRST_LIST = "GetLivez", "ListDomains"
# What stands for each parameter of a path where no request is known.
ANY_ID = "00000000-0000-0000-0000-000000000000"
# Schemathesis writes no credential.
VISIBLE = {
    "'Authorization: [Filtered]'": '"Authorization: Bearer $TOKEN"',
    "'Authorization: Bearer [Filtered]'": '"Authorization: Bearer $TOKEN"',
}


@dataclass(frozen=True, slots=True)
class Target:
    """The service, the credential for it, and the size of the run; `folder` holds its reports."""

    folder: Path
    url: str
    token: str
    cases: int
    seed: int


def fuzz(target: Target) -> list[str]:
    """Remove the reports of an earlier run, run, and return the complaints. Raises OSError."""
    shutil.rmtree(target.folder, ignore_errors=True)
    target.folder.mkdir(parents=True)
    unreachable = probe(target)
    if unreachable:
        return [unreachable]
    said = target.folder / "schemathesis.txt"
    with said.open("wb") as output:
        code = subprocess.run(
            command(target),
            env=environment(target),
            cwd=target.folder,
            stdout=output,
            stderr=output,
        ).returncode
    found = [*lost_workers(said.read_text(errors="replace")), *failures(target)]
    if code and not found:
        found.append(f"Schemathesis ended with {code}; seed {target.seed}: {said}")
    return found


def probe(target: Target) -> str | None:
    """The complaint about a service that does not answer, or refuses the token; else None.

    Without it a run with an old token would pass: 401 is a declared answer of every operation.
    """
    for name in (PROBE, FIRST_LIST):
        operation = CONTRACT.operations[name]
        label = f"{operation.method} {operation.path}"
        headers = {} if name == PROBE else {"Authorization": f"Bearer {target.token}"}
        url = target.url + operation.path
        try:
            reply = requests.get(url, headers=headers, timeout=ANSWER_S, allow_redirects=False)
        except (requests.RequestException, ValueError) as error:
            return complaint(target, label, f"no answer: {type(error).__name__}")
        if reply.status_code == 401:
            return complaint(target, label, "401: TOKEN must be a JWT that the service accepts")
    return None


def command(target: Target) -> list[str]:
    return [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(ROOT / "schemathesis.toml")),
        *("run", str(ROOT / "api" / "plexsphere-v1.yaml"), "--no-color", "--continue-on-failure"),
        *("--url", target.url, "--seed", str(target.seed), "--max-examples", str(target.cases)),
        *("--report", "junit,har", "--request-timeout", "60"),
        *("--report-junit-path", str(target.folder / "junit.xml")),
        *("--report-har-path", str(target.folder / "requests.har")),
    ]


def environment(target: Target) -> dict[str, str]:
    return {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.fuzz.deployed_hooks",
        "PLEXSPHERE_OPERATOR_TOKEN": target.token,
        "PYTHONPATH": str(ROOT),
    }


def failures(target: Target) -> Iterator[str]:
    """A complaint for each failure and each error of Schemathesis' JUnit file."""
    file = target.folder / "junit.xml"
    if not file.is_file():
        return
    for case in ElementTree.parse(file).iter("testcase"):
        for part in (*case.iter("failure"), *case.iter("error")):
            text = part.text or part.get("message") or ""
            for single in re.split(r"(?m)^\d+\. (?=Test Case ID)", text):
                if single.strip():
                    yield complaint(target, case.get("name", ""), single)


def complaint(target: Target, label: str, text: str) -> str:
    """Operation, reason, seed, pointer into the contract, and a curl that runs with $TOKEN."""
    method, _, path = label.partition(" ")
    operations = CONTRACT.operations.values()
    named = [name.operation_id for name in operations if (name.method, name.path) == (method, path)]
    reason, _, again = text.partition("Reproduce with:")
    sent = again.strip().split("\n\n")[0]
    curl = sent if sent.startswith("curl ") else curl_of(target, method, path if named else "/")
    pointer = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method.lower()}"
    for hidden, shown in VISIBLE.items():
        curl = curl.replace(hidden, shown)
    return "\n  ".join(
        (
            f"{named[0] if named else label}: {' '.join(reason.split())[:300]}",
            f"seed {target.seed}" + (f", api/plexsphere-v1.yaml#{pointer}" if named else ""),
            curl,
        )
    )


def curl_of(target: Target, method: str, path: str) -> str:
    """For a failure that no single request has caused."""
    url = target.url + re.sub(r"{[^}]*}", ANY_ID, path)
    method = method if path != "/" else "GET"
    return f'curl -i -X {method} -H "Authorization: Bearer $TOKEN" {shlex.quote(url)}'


def is_url(text: str) -> bool:
    """Of a service: a scheme and a host."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
