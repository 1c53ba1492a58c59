"""The cases: a good request of each operation, and every answer that the service can give to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from server.contract.document import Contract
from server.dev.stack import Stack
from tests.bodies import body_now
from tests.golden.operations.asking import Asker, cases
from tests.golden.operations.variants import VARIANTS
from tests.good_requests import existing, permitted
from tests.scratch import node

DECLARED = Contract.packaged().operations
STREAM = "GetNodeEvents"  # its 200 does not end


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was recorded; a live case has none, and the running service answers."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """One call of a client: the path parameters in order, and the body, of a good request."""

    operation: str
    parameters: dict[str, str]
    body: Any
    headers: dict[str, str]
    answer: Answer | None = None

    @property
    def has_live_body(self) -> bool:
        """Whether the success of the operation has a body."""
        return bool(DECLARED[self.operation].responses[self._success].media)

    @property
    def is_live_json(self) -> bool:
        """Whether that body is JSON."""
        media = DECLARED[self.operation].responses[self._success].media
        return any(name.endswith("json") for name in media)

    @property
    def _success(self) -> int:
        return min(DECLARED[self.operation].responses)

    @property
    def title(self) -> str:
        """The answer in the table."""
        if self.answer is None:
            return "live"
        code = ""
        if self.answer.media_type == "application/problem+json":
            code = f" {json.loads(self.answer.body).get('code', '')}"
        return f"{self.answer.status}{code}"


def live_cases(stack: Stack) -> Iterator[Case]:
    """Requests that the running service answers; reads of Nodes with null blocks too."""
    for name in DECLARED:
        if name == STREAM:
            continue
        path = DECLARED[name].path
        for there in (existing(stack, name), *_more(stack, name)):
            headers = permitted(stack, name, there) if DECLARED[name].secured else {}
            in_path = {key: value for key, value in there.items() if f"{{{key}}}" in path}
            in_body = {key: value for key, value in there.items() if key not in in_path}
            yield Case(name, in_path, _body(name, in_body), headers)


def _more(stack: Stack, name: str) -> Iterator[dict[str, str]]:
    """A Node without a policy, a bridge or a heartbeat."""
    if name in ("GetNodeState", "GetNodeSnapshot", "GetNodeReachability"):
        yield {"id": node(stack)}


def recorded_cases(live: list[Case]) -> Iterator[Case]:
    """Every answer of the table of operations, each body once."""
    logging.disable()
    asker, requests = Asker(), {case.operation: case for case in live}
    for name in VARIANTS:
        seen: set[tuple[int, bytes]] = set()
        for case in cases(name):
            if case.variant.method == "HEAD":
                continue
            response = asker.response(case)
            answer = Answer(response.status_code, response.mimetype or "", response.data)
            key = (answer.status, _without_ids(answer))
            if answer.status not in DECLARED[name].responses or key in seen:
                continue
            if name == STREAM and answer.status == 200:
                continue
            seen.add(key)
            good = requests.get(name, requests["GetNodeState"])
            body = _body(name)
            yield Case(name, good.parameters, body, {}, answer)
    logging.disable(logging.NOTSET)


def _without_ids(answer: Answer) -> bytes:
    """A Problem of another path is the same Problem."""
    if answer.media_type != "application/problem+json":
        return answer.body
    return str(json.loads(answer.body).get("code")).encode()


def _body(name: str, changes: dict[str, str] | None = None) -> Any:
    body = body_now(name, **(changes or {}))
    return None if body is None else json.loads(body)
