"""Pictures of a service that a simulated fleet asks: `top`, `fleet status`, and the dashboard.

The dashboard is deploy/grafana/dashboard.json: a real Prometheus scrapes the service and answers
each of its queries, and Vega-Lite draws what Grafana would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import vl_convert

from server.dev.ports import HOST, answers, free_ports
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(sys.executable).with_name("plexsphere-state")
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
SECONDS = 75
EARLIER = 25  # seconds before the end, when the fleet has settled
RATE_INTERVAL = "15s"
UNITS = {"s": "s", "reqps": "a second", "percentunit": "share", "short": None}
CONFIGURATION = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: plexsphere-state
    static_configs: [{{targets: ["{target}"]}}]
"""


def environment(stack: Stack, columns: int = 80) -> dict[str, str]:
    """That of a shell beside the stack, on a terminal with colours."""
    own = {**stack.env, **stack.identities, "PLEXSPHERE_URL": stack.url}
    return {**os.environ, **own, "FORCE_COLOR": "1", "COLUMNS": str(columns)}


def told(stack: Stack, *command: str, columns: int = 80) -> str:
    """The output of a command. `fleet status` has exit code 1 for a late Node."""
    shell = environment(stack, columns)
    done = subprocess.run([PROGRAM, *command], env=shell, capture_output=True, text=True)
    return done.stdout


def domain_of_the_fleet(stack: Stack) -> str:
    """The id of the newest Domain."""
    headers = {"Authorization": f"Bearer {stack.token(OPERATOR)}"}
    answer = requests.get(f"{stack.url}/v1/domains?limit=100", headers=headers, timeout=10)
    return max(str(domain["id"]) for domain in answer.json()["items"])


def pictures_of(stack: Stack, prometheus: Path) -> tuple[dict[str, str], str]:
    """Command line -> its output, and the dashboard as SVG."""
    with scraped(stack, prometheus) as url:
        simulate = ("fleet", "simulate", "--nodes", "60", "--seconds", str(SECONDS))
        nowhere = subprocess.DEVNULL
        fleet = subprocess.Popen(
            [PROGRAM, *simulate], env=environment(stack), stdout=nowhere, stderr=nowhere
        )
        time.sleep(SECONDS - EARLIER)
        domain = domain_of_the_fleet(stack)
        shown = {
            "top": told(stack, "top", "--once"),
            "fleet status": told(stack, "fleet", "status", "--limit", "6", "--domain", domain),
        }
        fleet.wait()
        return shown, dashboard(url)


@contextmanager
def scraped(stack: Stack, program: Path, rules: Path = RULES) -> Iterator[str]:
    """The URL of a Prometheus that scrapes the stack and evaluates the rules."""
    (port,) = free_ports(1)
    folder = stack.places.folder / "prometheus"
    folder.mkdir(exist_ok=True)
    target = stack.url.removeprefix("http://")
    file = folder / "prometheus.yml"
    file.write_text(CONFIGURATION.format(rules=rules, target=target))
    options = (f"--config.file={file}", f"--storage.tsdb.path={folder}/data")
    started = subprocess.Popen(
        [program, *options, f"--web.listen-address={HOST}:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "log").open("w"),
    )
    try:
        url = f"http://{HOST}:{port}"
        until(lambda: answers(port) and requests.get(f"{url}/-/ready", timeout=5).ok, "Prometheus")
        yield url
    finally:
        started.terminate()
        started.wait()


def dashboard(url: str) -> str:
    """Every panel, drawn from the answers to its queries."""
    panels = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())["panels"]
    drawing = {
        "background": "white",
        "columns": 3,
        "concat": [drawn(url, panel) for panel in panels],
        "resolve": {"scale": {"color": "independent"}},
    }
    return str(vl_convert.vegalite_to_svg(drawing))


def drawn(url: str, panel: dict[str, Any]) -> dict[str, Any]:
    """A panel of the dashboard in Vega-Lite. Raises where Prometheus refuses a query."""
    points = [point for target in panel["targets"] for point in answered(url, target)]
    unit = panel["fieldConfig"]["defaults"]["unit"]
    legend = {"orient": "bottom", "columns": 4, "symbolLimit": 8, "labelLimit": 90}
    colour = {"field": "name", "type": "nominal", "title": None, "legend": legend}
    return {
        "title": panel["title"],
        "width": 280,
        "height": 110,
        "data": {"values": points},
        "mark": "line",
        "encoding": {
            "x": {"field": "at", "type": "temporal", "title": None},
            "y": {"field": "value", "type": "quantitative", "title": UNITS[unit]},
            **({"color": colour} if points else {}),  # a legend of nothing has no size
        },
    }


def answered(url: str, target: dict[str, str]) -> Iterator[dict[str, Any]]:
    """The points of one query."""
    values = {"$__rate_interval": RATE_INTERVAL, "$job": "plexsphere-state", "$instance": ".*"}
    query = target["expr"]
    for name, value in values.items():
        query = query.replace(name, value)
    end = time.time()
    asked = {"query": query, "start": end - SECONDS, "end": end, "step": 1}
    answer = requests.get(f"{url}/api/v1/query_range", params=asked, timeout=30)
    answer.raise_for_status()
    for series in answer.json()["data"]["result"]:
        name = target["legendFormat"]
        for label, value in series["metric"].items():
            name = name.replace("{{" + label + "}}", value)
        for moment, value in series["values"]:
            if value not in ("NaN", "+Inf"):
                yield {"name": name, "at": 1000 * moment, "value": float(value)}
