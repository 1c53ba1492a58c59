"""A complaint has all that repeats it: operation, seed, pointer into the contract, and a command.

The commands of a run with a stack of its own are for ``make run``, whose sample has the same Nodes.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from server.contract.pointers import format_pointer
from server.dev.sample import AUDITOR, OPERATOR
from tests.contract.tables import AUTHZ
from tests.fuzz.exchange import CONTRACT, Exchange, operation_at

FILE = "api/plexsphere-v1.yaml"
SHELL_URL = '"$PLEXSPHERE_URL"'
# What stands for each parameter of a path where no request is known.
ANY_ID = "00000000-0000-0000-0000-000000000000"
# The headers that curl writes by itself, or that no shell can repeat.
UNREPEATED = ("host", "content-length", "connection", "user-agent", "accept-encoding")
LONGEST_TEXT = 2_000
BETWEEN = "\n  "


@dataclass(frozen=True, slots=True)
class Again:
    """The way to send the requests of a run again.

    ``url`` is what was asked, ``shell_url`` the same in a shell. ``credential`` makes the token of
    an operation and a path, as it stands in double quotes.
    """

    seed: int
    url: str
    shell_url: str
    credential: Callable[[str, str], str]

    def complaint(self, reason: str, pointer: str = "", curl: str = "") -> str:
        """A line each: what, where, and how again."""
        place = f"seed {self.seed}" + (f", {FILE}#{pointer}" if pointer else "")
        return BETWEEN.join(filter(None, (reason, place, curl)))

    def of(self, complaint: str) -> str:
        """A complaint of the tally or of the run, with what it lacks."""
        reason, *more = complaint.split(BETWEEN)
        if more and more[0].startswith("seed "):
            return complaint
        if more:
            return self.complaint(reason, *more)
        words = re.findall(r"\w+", reason)
        name = next((word for word in words[:2] if word in CONTRACT.operations), None)
        if name is None:
            return self.complaint(reason)
        operation = CONTRACT.operations[name]
        pointer = pointer_to(name)
        status = next((word for word in words if word.isdecimal()), "")
        if status.isdecimal() and int(status) in operation.responses:
            pointer += f"/responses/{status}"
        return self.complaint(reason, pointer, self.any_curl(operation.method, operation.path))

    def any_curl(self, method: str, path: str) -> str:
        """For a failure that no single request has caused."""
        path = re.sub(r"{[^}]*}", ANY_ID, path)
        header = self._authorization(method, path)
        return f"curl -i -m 30 -X {method} {header} {self.shell_url}{shlex.quote(path)}"

    def failure(self, label: str, text: str) -> str:
        """A failure of Schemathesis: ``label`` is its method and path."""
        method, _, path = label.partition(" ")
        name = next(
            (
                operation.operation_id
                for operation in CONTRACT.operations.values()
                if (operation.method, operation.path) == (method, path)
            ),
            None,
        )
        reason, _, again = text.partition("Reproduce with:")
        curl = again.strip().split("\n\n")[0]
        if curl.startswith("curl "):
            curl = self._visible(method, curl)
        else:
            curl = self.any_curl(method if name else "GET", path if name else "/")
        reason = f"{name or label}: {' '.join(reason.split())[:300]}"
        return self.complaint(reason, pointer_to(name) if name else "", curl)

    def _visible(self, method: str, curl: str) -> str:
        """Schemathesis writes no credential, and the URL that it asked."""
        path = "/" + curl.partition(self.url)[2].lstrip("/").partition("'")[0].split("?")[0]
        for hidden in ("'Authorization: [Filtered]'", "'Authorization: Bearer [Filtered]'"):
            curl = curl.replace(f"-H {hidden}", self._authorization(method, path))
        if self.shell_url == self.url:
            return curl
        curl = curl.replace(f"'{self.url}", f"{self.shell_url}'")
        return curl.replace(self.url, self.shell_url)

    def _authorization(self, method: str, path: str) -> str:
        token = self.credential(method, path)
        return f'-H "Authorization: Bearer {token}"'


def own_again(seed: int, url: str) -> Again:
    """For a run with a stack of its own, whose requests `make run` answers again."""
    return Again(seed, url, SHELL_URL, lambda method, path: token_text(subject_of(method, path)))


def deployed_again(seed: int, url: str) -> Again:
    """For a deployed service; the token is in the shell."""
    return Again(seed, url, url, lambda method, path: "$TOKEN")


def failures(junit: Path, again: Again) -> Iterator[str]:
    """A complaint for each failure and each error of Schemathesis' JUnit file."""
    for case in ElementTree.parse(junit).iter("testcase"):
        for part in (*case.iter("failure"), *case.iter("error")):
            text = part.text or part.get("message") or ""
            for single in re.split(r"(?m)^\d+\. (?=Test Case ID)", text):
                if single.strip():
                    yield again.failure(case.get("name", ""), single)


def of_exchange(reason: str, exchange: Exchange) -> str:
    """The complaint about one answer, without the seed."""
    name = exchange.name
    if name not in CONTRACT.operations:
        return BETWEEN.join((f"{name}: {reason}", "/paths", curl_of(exchange)))
    status = f"/responses/{exchange.status}" if exchange.declared else ""
    return BETWEEN.join((f"{name}: {reason}", pointer_to(name) + status, curl_of(exchange)))


def pointer_to(name: str) -> str:
    """Of an operation."""
    operation = CONTRACT.operations[name]
    return format_pointer(("paths", operation.path, operation.method.lower()))


def curl_of(exchange: Exchange) -> str:
    """The request once more, to `make run`."""
    words = ["curl -i -m 30 --path-as-is -X", exchange.method]
    for name, text in exchange.sent.items():
        if name == "authorization" and (subject := _subject(text)):
            words.append(f'-H "Authorization: Bearer {token_text(subject)}"')
        elif name not in UNREPEATED:
            words.append(f"-H {shlex.quote(f'{name}: {text}')}")
    if exchange.sent_body:
        words.append(f"--data-binary {_body(exchange.sent_body)}")
    return " ".join((*words, SHELL_URL + shlex.quote(exchange.path)))


def subject_of(method: str, path: str) -> str:
    """The subject that may do the operation of a path."""
    operation = operation_at(path, method)
    relation = None if operation is None else AUTHZ.get(operation.operation_id)
    if relation == "node-agent":
        return f"node:{path.split('/')[3]}"
    return AUDITOR if relation == "auditor" else OPERATOR


def token_text(subject: str) -> str:
    """A token of the subject, in double quotes of a shell."""
    return f"$(.venv/bin/plexsphere-state token {shlex.quote(subject)})"


def _subject(authorization: str) -> str | None:
    """The subject of a JWT; None for any other credential, which is sent as it is."""
    parts = authorization.removeprefix("Bearer ").split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(f"{parts[1]}=="))
        return str(claims["sub"]) if len(parts) == 3 else None
    except (ValueError, LookupError, TypeError):
        return None


def _body(body: bytes) -> str:
    """The bytes as a word of bash, whatever they are."""
    text = body.decode("utf-8", "replace")
    if len(text) <= LONGEST_TEXT and text.isprintable() and text.encode() == body:
        return (
            shlex.quote(text) if not text.startswith("@") else f"@<(printf %s {shlex.quote(text)})"
        )
    packed = base64.b64encode(gzip.compress(body, mtime=0)).decode()
    return f"@<(echo {packed} | base64 -d | gunzip)"
