"""A deployed service under Schemathesis: ``make fuzz URL=https://... TOKEN=...``.

The configuration is schemathesis.toml beside the Makefile. Nothing here reads the ledger.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.fuzz.aftermath import lost_workers
from tests.fuzz.complaints import Again, deployed_again, failures
from tests.fuzz.exchange import CONTRACT

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 10.0
PROBE, FIRST_LIST = "GetLivez", "ListDomains"


@dataclass(frozen=True, slots=True)
class Target:
    """The service, the credential for it, and the size of the run; `folder` holds its reports."""

    folder: Path
    url: str
    token: str
    cases: int
    seed: int

    @property
    def again(self) -> Again:
        """The way to send its requests again."""
        return deployed_again(self.seed, self.url)


def fuzz(target: Target) -> list[str]:
    """Remove the reports of an earlier run, run, and return the complaints. Raises OSError."""
    shutil.rmtree(target.folder, ignore_errors=True)
    target.folder.mkdir(parents=True)
    unreachable = probe(target)
    if unreachable:
        return [unreachable]
    output_file = target.folder / "schemathesis.txt"
    with output_file.open("wb") as output:
        code = subprocess.run(
            command(target),
            env=environment(target),
            cwd=target.folder,
            stdout=output,
            stderr=output,
        ).returncode
    found = lost_workers(output_file.read_text(errors="replace"))
    if (target.folder / "junit.xml").is_file():
        found += failures(target.folder / "junit.xml", target.again)
    if code and not found:
        found.append(f"Schemathesis ended with {code}; seed {target.seed}: {output_file}")
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
            return target.again.failure(label, f"no answer: {type(error).__name__}")
        if reply.status_code == 401:
            return target.again.failure(label, "401: TOKEN must be a JWT that the service accepts")
    return None


def command(target: Target) -> list[str]:
    return [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(ROOT / "schemathesis.toml")),
        *("run", str(ROOT / "api" / "plexsphere-v1.yaml"), "--no-color", "--continue-on-failure"),
        *("--url", target.url, "--seed", str(target.seed), "--max-examples", str(target.cases)),
        *("--report", "junit,har", "--request-timeout", "20"),
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


def is_url(text: str) -> bool:
    """Of a service: a scheme and a host."""
    parts = urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
