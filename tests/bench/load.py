"""Load on a loopback URL, bounded in time and connections: wrk where it is, else autocannon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

AUTOCANNON = Path(".dev/npm-tools/node_modules/autocannon/autocannon.js")


@dataclass(frozen=True)
class Measured:
    """Requests a second, the 99th percentile in milliseconds, answers that were no 2xx or 3xx."""

    per_second: float
    p99_ms: float
    refused: int
    tool: str


def load(url: str, headers: Mapping[str, str], seconds: int, connections: int) -> Measured:
    """Ask ``url`` as fast as it answers. Refuses any host but loopback."""
    if urlsplit(url).hostname != "127.0.0.1":
        raise ValueError("load goes to loopback only")
    if shutil.which("wrk"):
        return _wrk(url, headers, seconds, connections)
    if AUTOCANNON.exists() and shutil.which("node"):
        return _autocannon(url, headers, seconds, connections)
    raise SystemExit("bench: neither wrk nor autocannon is installed; apt-get install wrk")


def _wrk(url: str, headers: Mapping[str, str], seconds: int, connections: int) -> Measured:
    named = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *named, url]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out.stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out.stdout)
    assert rate and p99, out.stdout
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Measured(float(rate[1]), float(p99[1]) * scale, int(refused[1]) if refused else 0, "wrk")


def _autocannon(url: str, headers: Mapping[str, str], seconds: int, connections: int) -> Measured:
    named = [part for name, value in headers.items() for part in ("-H", f"{name}={value}")]
    command = ["node", str(AUTOCANNON), "--json", f"-c{connections}", f"-d{seconds}", *named, url]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    found = json.loads(out.stdout)
    return Measured(
        found["requests"]["average"], found["latency"]["p99"], found["non2xx"], "autocannon"
    )
