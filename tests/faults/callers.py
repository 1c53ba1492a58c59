"""The callers of a cell: agents, strangers, an editor, and a load balancer, each in a thread."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping

from server.contract.document import Contract
from tests.bodies import JSON
from tests.client import Reply, ask, bearer, pull_path
from tests.faults.seen import STREAMED, WRITTEN, Cell, NodePictures, outcome

PACE = 0.04  # seconds between two requests of a caller


class Callers:
    """They ask from ``start`` to ``stop``, and judge every answer into one cell."""

    def __init__(
        self,
        url: str,
        nodes: Mapping[str, NodePictures],
        tokens: Mapping[str, str],
        editor: str,
        forged: str,
        revoked: tuple[str, str],
        contract: Contract,
    ) -> None:
        """``tokens`` are those of the agents. ``forged`` is a token of a key that nobody knows, and
        ``revoked`` a Node with the token of a caller whose role there is gone."""
        self.url = url
        self.nodes = nodes
        self.cell = Cell("", "")
        self.acknowledged: set[str] = set()
        self.granted: set[str] = set()
        self.tokens = tokens
        self._editor = editor
        self._forged = forged
        self._revoked = revoked
        self._declared = {
            name: {
                f"{status} {code}".strip()
                for status, response in contract.operations[name].responses.items()
                for code in response.problem_codes or ("",)
            }
            for name in ("GetNodeState", "GetNodeEvents", "PutNodeMetadata")
        }
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._number = 0
        self._asked = 0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._agents = {node: threading.Lock() for node in nodes}

    def start(self, cell: Cell) -> None:
        self.cell = cell
        self.acknowledged, self.granted = set(), set()
        self._stop = threading.Event()
        first, second = list(self.nodes)[:2]
        turns: list[Callable[[], object]] = [
            *(lambda node=node: self.pull(node) for node in self.nodes),
            lambda: self.stranger(first, bearer(self.tokens[second])),
            lambda: self.stranger(first, bearer("not.a.token")),
            lambda: self.stranger(self._revoked[0], bearer(self._revoked[1])),
            lambda: self.stranger(first, bearer(self._forged)),
            self.write_next,
            self.livez,
            *([self.subscribe] if cell.dependency in STREAMED else []),
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(turn,), daemon=True) for turn in turns
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def pull(self, node: str) -> Reply | None:
        """An agent; a 200 is judged. A Node has one agent, which asks one thing at a time."""
        with self._agents[node]:
            reply, correlation = self._ask(
                "GetNodeState", pull_path(node), bearer(self.tokens[node])
            )
            if reply is not None and reply.status == 200:
                self.nodes[node].judge(self.cell, reply)
                self.granted.add(correlation)
            return reply

    def stranger(self, node: str, headers: dict[str, str]) -> None:
        """No caller without the role gets an answer, whatever is down."""
        reply, _ = self._ask("GetNodeState", pull_path(node), headers)
        if reply is not None and reply.status < 400:
            self.cell.note("fail_open", f"{node}: {reply.status}")

    def subscribe(self) -> Reply | None:
        """An agent that opens its event stream, and leaves."""
        node = next(iter(self.nodes))
        return self._ask("GetNodeEvents", f"/v1/nodes/{node}/events", bearer(self.tokens[node]))[0]

    def write_next(self) -> bool:
        """The next number, to the next Node; whether it was acknowledged. There is one editor."""
        with self._writing:
            return self._write_next()

    def _write_next(self) -> bool:
        self._number += 1
        pictures = list(self.nodes.values())
        picture = pictures[self._number % len(pictures)]
        picture.attempted = max(picture.attempted, self._number)
        body = json.dumps({"value": str(self._number)}).encode()
        reply, correlation = self._ask(
            "PutNodeMetadata",
            f"/v1/nodes/{picture.node_id}/state/metadata/{WRITTEN}",
            {**bearer(self._editor), **JSON},
            "PUT",
            body,
        )
        if reply is None or reply.status >= 300:
            return False
        picture.acknowledged = self._number
        self.acknowledged.add(correlation)
        return True

    def livez(self) -> None:
        """It waits for nothing, whatever hangs."""
        began = time.monotonic()
        try:
            status = ask(self.url, "/livez").status
        except (OSError, http.client.HTTPException):
            status = 0
        self.cell.livez_s = max(self.cell.livez_s, time.monotonic() - began)
        if status != 200:
            self.cell.note("wrong", f"/livez is {status}")

    def _ask(
        self,
        operation: str,
        path: str,
        headers: dict[str, str],
        method: str = "GET",
        body: bytes | None = None,
    ) -> tuple[Reply | None, str]:
        with self._lock:
            self._asked += 1
            correlation = f"faults-{self.cell.dependency}-{self._asked}".replace(" ", "-")
        sent = {**headers, "X-Correlation-Id": correlation}
        began = time.monotonic()
        try:
            reply: Reply | None = ask(self.url, path, sent, method=method, body=body)
        except (OSError, http.client.HTTPException):
            reply = None
        self.cell.longest_s = max(self.cell.longest_s, time.monotonic() - began)
        name = outcome(reply)
        with self._lock:
            self.cell.answers[name] += 1
        # A ledger that refuses audit rows is a defect, and its writes are a 500.
        may_fail = self.cell.dependency == "audit table" and method == "PUT"
        if (name == "500" and not may_fail) or name.removesuffix(" stale") not in self._declared[
            operation
        ]:
            self.cell.note("wrong", f"{operation} is {name}")
        return reply, correlation

    def _run(self, turn: Callable[[], object]) -> None:
        while not self._stop.is_set():
            turn()
            self._stop.wait(PACE)
