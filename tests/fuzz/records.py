"""The files of a run: our part of the JUnit file, the directed requests, the tables as text.

Schemathesis writes junit.xml and requests.har of what it sends itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

from rich.console import Console

from tests.fuzz.complaints import BETWEEN
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.outcome import Outcome
from tests.fuzz.report import link_table, status_table

# As in schemathesis.toml: the checks have seen the whole body.
LONGEST_BODY = 1_024
WIDTH = 160


def record(folder: Path, outcome: Outcome, seed: int) -> None:
    """Beside Schemathesis' files, and into its JUnit file, which is made where there is none."""
    add_contract_suite(folder / "junit.xml", outcome)
    entries = [entry(exchange) for exchange in outcome.directed]
    creator = {"name": "make fuzz", "version": CONTRACT.version}
    log = {"version": "1.2", "creator": creator, "entries": entries}
    (folder / "directed.har").write_text(json.dumps({"log": log}, indent=1))
    with (folder / "tables.txt").open("w", errors="backslashreplace") as file:
        console = Console(file=file, width=WIDTH)
        console.print(status_table(outcome), link_table(outcome))
        for complaint in outcome.complaints:
            console.print(f"FAILED {complaint}", markup=False, soft_wrap=True)
        console.print(f"seed {seed}")


def add_contract_suite(file: Path, outcome: Outcome) -> None:
    """A case for each declared status, and one for each complaint that is about none of them."""
    left = list(outcome.complaints)
    cases: list[tuple[str, str]] = []
    for name, operation in CONTRACT.operations.items():
        for status in operation.responses:
            begins = (f"{name} {status}:", f"{name} {status} ")
            about = [complaint for complaint in left if complaint.startswith(begins)]
            left = [complaint for complaint in left if complaint not in about]
            cases.append((f"{name} {status}", "; ".join(about)))
    cases += [(complaint.partition(BETWEEN)[0][:120], complaint) for complaint in left]
    failures = str(sum(bool(complaint) for _, complaint in cases))
    tree = ElementTree.parse(file) if file.is_file() else None
    root = ElementTree.Element("testsuites") if tree is None else tree.getroot()
    counts = {"tests": str(len(cases)), "failures": failures, "errors": "0"}
    suite = ElementTree.SubElement(root, "testsuite", {"name": "contract", **counts})
    for title, complaint in cases:
        attributes = {"classname": "contract", "name": _legal(title)}
        case = ElementTree.SubElement(suite, "testcase", attributes)
        if complaint:
            ElementTree.SubElement(case, "failure", {"message": _legal(complaint)})
    for count, value in counts.items():
        root.set(count, str(int(root.get(count, "0")) + int(value)))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def entry(exchange: Exchange) -> dict[str, Any]:
    """One exchange of a HAR file; no token is in it."""
    sent = {n: "..." if n == "authorization" else text for n, text in exchange.sent.items()}
    query = parse_qsl(urlsplit(exchange.path).query, keep_blank_values=True)
    text = exchange.body[:LONGEST_BODY].decode("utf-8", "replace")
    media = exchange.received.get("content-type", "")
    common = {"httpVersion": "HTTP/1.1", "cookies": [], "headersSize": -1, "bodySize": -1}
    return {
        "startedDateTime": "1970-01-01T00:00:00Z",  # nobody has looked at the clock
        "time": 0,
        "request": {
            **common,
            "method": exchange.method,
            "url": f"http://service{exchange.path}",
            "headers": _pairs(sent),
            "queryString": [{"name": name, "value": value} for name, value in query],
        },
        "response": {
            **common,
            "status": exchange.status,
            "statusText": "",
            "headers": _pairs(exchange.received),
            "redirectURL": "",
            "content": {"size": len(exchange.body), "mimeType": media, "text": text},
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
    }


def _legal(text: str) -> str:
    """XML has no control characters, and a complaint may quote what was sent."""
    text = text.replace(BETWEEN, "; ")
    return "".join(character if character.isprintable() else "?" for character in text)


def _pairs(headers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers.items()]
