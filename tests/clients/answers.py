"""The cases: a good request of each operation, and every answer that the service can give to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from server.contract.document import Contract
from server.dev.stack import Stack
from tests.bodies import body_now
from tests.client import EVENT_STREAM
from tests.clients.streams import Changes, recorded_stream
from tests.golden.operations.asking import Asker, cases
from tests.golden.operations.variants import VARIANTS
from tests.good_requests import existing, permitted
from tests.scratch import node

DECLARED = Contract.packaged().operations
STREAM = "GetNodeEvents"
JSON_TYPES = ("application/json", "application/problem+json")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was recorded; a live case has none, and the running service answers."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """One call of a client: the path parameters in order, and the body, of a good request.

    - ``events``: the number of events to read where the answer is a stream.
    - ``changes``: what makes the events of a live stream, called once it is open.
    - ``has_later_keys``: the answer is one of a later release, with keys that this one has not.
    """

    operation: str
    parameters: dict[str, str]
    body: Any
    headers: dict[str, str]
    answer: Answer | None = None
    events: int = 0
    changes: Callable[[], None] | None = None
    has_later_keys: bool = False

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
        return f"{self.answer.status}{code}{' with later keys' if self.has_later_keys else ''}"


def live_cases(stack: Stack) -> Iterator[Case]:
    """Requests that the running service answers; reads of Nodes with null blocks too."""
    for name in DECLARED:
        if name == STREAM:
            changes = Changes(stack)
            node, headers = {"id": changes.node}, changes.credential
            yield Case(name, node, None, headers, events=changes.events, changes=changes.make)
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
    """Every answer of the table of operations, each body once, and one with later keys a status.

    Of the stream, every sample event.
    """
    logging.disable()
    asker, requests = Asker(), {case.operation: case for case in live}
    for changed in (_unchanged, with_later_keys):
        body, count = recorded_stream(changed)
        answer = Answer(200, EVENT_STREAM, body)
        yield replace(
            requests[STREAM],
            answer=answer,
            events=count,
            changes=None,
            has_later_keys=changed is with_later_keys,
        )
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
            is_first = answer.status not in {status for status, _ in seen}
            seen.add(key)
            good = requests.get(name, requests["GetNodeState"])
            recorded = Case(name, good.parameters, _body(name), {}, answer)
            yield recorded
            if is_first and answer.media_type in JSON_TYPES:
                later = json.dumps(with_later_keys(json.loads(answer.body))).encode()
                yield replace(recorded, answer=replace(answer, body=later), has_later_keys=True)
    logging.disable(logging.NOTSET)


def with_later_keys(value: Any) -> Any:
    """The value with a key more in every object."""
    if isinstance(value, list):
        return [with_later_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: with_later_keys(item) for key, item in value.items()} | {"later": {"key": [1]}}


def _unchanged(value: Any) -> Any:
    return value


def _without_ids(answer: Answer) -> bytes:
    """A Problem of another path is the same Problem."""
    if answer.media_type != "application/problem+json":
        return answer.body
    return str(json.loads(answer.body).get("code")).encode()


def _body(name: str, changes: dict[str, str] | None = None) -> Any:
    body = body_now(name, **(changes or {}))
    return None if body is None else json.loads(body)
