"""The packages that the wheel is installed with: an SBOM of them, and their known vulnerabilities.

    python deploy/audit/audit.py

Writes dist/plexsphere_state-VERSION.cdx.json (CycloneDX) of requirements.lock, and asks an advisory
service about every package of every lock file of Python. Exit code 1 for a vulnerability. Where no
service answers, a line says that nothing was audited, and the exit code is 0.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".dev" / "tools"  # of requirements-tools.lock
SPECIFICATION = "1.6"
SERVICE_SECONDS = "10"
# What pip-audit ends with where the service does not answer, or not in JSON; often a trace.
OF_THE_SERVICE = re.compile(
    r"^(requests\.exceptions\.|pip_audit\._service\.)|blocking this service", re.MULTILINE
)


class Unreachable(Exception):
    """The advisory service gave no answer of its own."""


def main() -> int:
    """Write the SBOM, then audit."""
    (ROOT / "dist").mkdir(exist_ok=True)
    print(f"wrote {sbom().relative_to(ROOT)}")
    status = 0
    for lock in sorted(ROOT.glob("requirements*.lock")):
        try:
            audited, skipped, vulnerable = audit(lock)
        except Unreachable as reason:
            print(f"{lock.name}: not audited, because no advisory service is reachable: {reason}")
            continue
        unasked = f", and {skipped} not: the advisory service does not know them" if skipped else ""
        print(f"{lock.name}: {audited} packages audited{unasked}")
        for line in vulnerable:
            print(f"  {line}")
            status = 1
    return status


def sbom() -> Path:
    """The SBOM of what the service is installed with."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    name, version = setup["metadata"]["name"], setup["metadata"]["version"]
    file = ROOT / "dist" / f"{name.replace('-', '_')}-{version}.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder, "pyproject.toml")
        described.write_text(f'[project]\nname = "{name}"\nversion = "{version}"\n')
        options = ("--output-reproducible", "--of", "JSON", "--sv", SPECIFICATION, "--validate")
        command = ("cyclonedx_py", "requirements", *options, "--pyproject", str(described))
        done = module(*command, "-o", str(file), str(ROOT / "requirements.lock"))
    if done.returncode:
        sys.exit(f"plexsphere-state: {done.stderr.strip()}")
    return file


def audit(lock: Path) -> tuple[int, int, list[str]]:
    """The numbers of packages audited and not audited, and a line for each vulnerability. Raises
    Unreachable."""
    options = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "-f", "json")
    done = module("pip_audit", *options, "--timeout", SERVICE_SECONDS, "-r", str(lock))
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        if OF_THE_SERVICE.search(done.stderr):
            raise Unreachable(reason) from error
        sys.exit(f"plexsphere-state: {lock.name}: {reason}")
    audited = [package for package in found if "skip_reason" not in package]
    vulnerable = [
        f"{package['name']} {package['version']}: {known['id']}, "
        f"repaired in {', '.join(known['fix_versions']) or 'no version'}"
        for package in audited
        for known in package["vulns"]
    ]
    return len(audited), len(found) - len(audited), vulnerable


def module(*command: str) -> subprocess.CompletedProcess[str]:
    """A tool of the lock file."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    return subprocess.run(
        [sys.executable, "-m", *command], env=env, capture_output=True, text=True, cwd=ROOT
    )


if __name__ == "__main__":
    sys.exit(main())
