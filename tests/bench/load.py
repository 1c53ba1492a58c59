"""Load on a loopback URL, bounded in time and connections: wrk where it is, else autocannon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

AUTOCANNON = Path(".dev/npm-tools/node_modules/autocannon/autocannon.js")
# wrk asks this script for every request; the requests take turns.
TURNS = """local requests = {{{requests}}}
local turn = 0
request = function()
  turn = turn % #requests + 1
  local one = requests[turn]
  return wrk.format(one[1], one[2], one[3], one[4])
end
"""


@dataclass(frozen=True)
class Measured:
    """Requests a second, the 99th percentile in milliseconds, answers that were no 2xx or 3xx."""

    per_second: float
    p99_ms: float
    refused: int
    tool: str


@dataclass(frozen=True)
class Request:
    """One request; without a body it is a GET."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


def load(requests: Sequence[Request], seconds: int, connections: int) -> Measured:
    """Send the requests in turn, as fast as they are answered. Refuses any host but loopback."""
    if {urlsplit(one.url).hostname for one in requests} != {"127.0.0.1"}:
        raise ValueError("load goes to loopback only")
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("wrk"):
            return _wrk(requests, seconds, connections, Path(folder))
        if AUTOCANNON.exists() and shutil.which("node"):
            return _autocannon(requests, seconds, connections, Path(folder))
    raise SystemExit("bench: neither wrk nor autocannon is installed; apt-get install wrk")


def _wrk(requests: Sequence[Request], seconds: int, connections: int, folder: Path) -> Measured:
    script = folder / "turns.lua"
    script.write_text(TURNS.format(requests=", ".join(map(_in_lua, requests))))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script)]
    command.append(requests[0].url)
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", out.stdout)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out.stdout)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out.stdout)
    assert rate and p99, out.stdout
    scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Measured(float(rate[1]), float(p99[1]) * scale, int(refused[1]) if refused else 0, "wrk")


def _in_lua(request: Request) -> str:
    """Method, path, headers and body; a JSON string of ASCII is a Lua string."""
    headers = ", ".join(f"[{json.dumps(k)}]={json.dumps(v)}" for k, v in request.headers.items())
    path = urlsplit(request.url).path
    body = "nil" if request.body is None else json.dumps(request.body)
    return f'{{"{request.method}", {json.dumps(path)}, {{{headers}}}, {body}}}'


def _autocannon(
    requests: Sequence[Request], seconds: int, connections: int, folder: Path
) -> Measured:
    recorded = folder / "requests.har"
    recorded.write_text(json.dumps({"log": {"entries": list(map(_in_har, requests))}}))
    command = ["node", str(AUTOCANNON), "--json", f"-c{connections}", f"-d{seconds}"]
    command += ["--har", str(recorded), requests[0].url]
    out = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    return of_autocannon(json.loads(out.stdout))


def of_autocannon(found: Mapping[str, Any]) -> Measured:
    """Its ``non2xx`` counts a 304, and leaves out what had no answer."""
    refused = found["4xx"] + found["5xx"] + found["errors"]
    return Measured(found["requests"]["average"], found["latency"]["p99"], refused, "autocannon")


def _in_har(request: Request) -> dict[str, object]:
    headers = [{"name": name, "value": value} for name, value in request.headers.items()]
    entry = {"method": request.method, "url": request.url, "headers": headers}
    return {"request": entry | ({"postData": {"text": request.body}} if request.body else {})}
