"""Load on a loopback URL by wrk: bounded in time and connections, every request written before.

wrk is one process in C. Its own CPU stands beside each figure, so that a bench that measures its
client is seen.
"""

from __future__ import annotations

import re
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

# The requests take turns. They are read whole from a file, where a NUL ends each.
TURNS = """local requests = {}
local turn = 0
function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for request in file:read("*a"):gmatch("[^%z]+") do
    requests[#requests + 1] = request
  end
  file:close()
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""
_SCALE = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True)
class Measured:
    """The answers of ``seconds``: times in milliseconds, ``cpu`` is the client's, in seconds.

    ``refused`` answers were no 2xx or 3xx, and ``broken`` requests had no answer.
    """

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int
    broken: int
    cpu: float

    @property
    def per_second(self) -> float:
        return self.answers / self.seconds


def load(url: str, requests: Sequence[bytes], seconds: float, connections: int) -> Measured:
    """Send the requests in turn, as fast as they are answered. Refuses any host but loopback."""
    if urlsplit(url).hostname != "127.0.0.1":
        raise ValueError("load goes to loopback only")
    with tempfile.TemporaryDirectory() as folder:
        script, written = Path(folder, "turns.lua"), Path(folder, "requests")
        script.write_text(TURNS)
        written.write_bytes(b"\0".join(requests))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(round(seconds), 1)}s", "--latency"]
        command += ["--timeout", "20s", "-s", str(script), url, "--", str(written)]
        before = _children_cpu()
        out = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=True
        ).stdout
        return read_report(out, _children_cpu() - before)


def read_report(out: str, cpu: float) -> Measured:
    """wrk's report. Raises ValueError where it is none."""
    total = re.search(r"(\d+) requests in +([\d.]+)(ms|s|m),", out)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s|m)\b", out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", out)
    if not (total and p50 and p99):
        raise ValueError(f"no report of wrk: {out}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: (.*)", out)
    return Measured(
        answers=int(total[1]),
        seconds=float(total[2]) * _SCALE[total[3]] / 1000,
        p50_ms=float(p50[1]) * _SCALE[p50[2]],
        p99_ms=float(p99[1]) * _SCALE[p99[2]],
        refused=int(refused[1]) if refused else 0,
        broken=sum(map(int, re.findall(r"\d+", broken[1]))) if broken else 0,
        cpu=cpu,
    )


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
