"""The judge inside Schemathesis: our checks beside its own, our tokens, our counting."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from schemathesis.generation.meta import CoveragePhaseData, CoverageScenario
from schemathesis.hooks import HookContext

from tests.bodies import MOMENTS, moment
from tests.fuzz.exchange import MOST_SILENT, Exchange
from tests.fuzz.judge import Judge
from tests.fuzz.tally import FUZZED
from tests.fuzz.world import World
from tests.fuzz.writing import Writing


class _Latest:
    """The exchange of the response that all checks look at one after the other."""

    def __init__(self) -> None:
        self._response: schemathesis.Response | None = None
        self._exchange: Exchange | None = None

    def of(self, response: schemathesis.Response) -> Exchange:
        if self._exchange is None or response is not self._response:
            self._response, self._exchange = response, exchange_of(response)
        return self._exchange


class _Writing:
    """One for each world that is fuzzed in this process."""

    def __init__(self) -> None:
        self._known: tuple[World, Writing] | None = None

    def of(self, world: World) -> Writing:
        if self._known is None or self._known[0] is not world:
            self._known = world, Writing(world)
        return self._known[1]


def exchange_of(response: schemathesis.Response) -> Exchange:
    """As it went over the wire, and not as the case describes it."""
    request = response.request
    url = urlsplit(str(request.url))
    sent = {str(name).lower(): _text(value) for name, value in request.headers.items()}
    received = {name.lower(): ", ".join(values) for name, values in response.headers.items()}
    return Exchange(
        method=str(request.method),
        path=url.path + (f"?{url.query}" if url.query else ""),
        sent=sent,
        status=response.status_code,
        received=received,
        body=response.content or b"",
        sent_body=_bytes(request.body),
    )


def _bytes(body: object) -> bytes | None:
    return body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else None


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def is_valid(case: schemathesis.Case) -> bool:
    """Whether Schemathesis means the case to be a request the contract allows."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive:
        return False
    data = meta.phase.data
    return not (
        isinstance(data, CoveragePhaseData)
        and data.scenario is CoverageScenario.UNSPECIFIED_HTTP_METHOD
    )


def plug_in(current: Callable[[], Judge]) -> None:
    """Register everything, once a process; `current` is asked for the judge of the run."""

    # no interval: a token that were kept would be sent for every id
    @schemathesis.auth(refresh_interval=None)
    class WhoMay:
        """The token of who may, for an id nobody has somebody's.

        One case in eight comes from a stranger: its operation, headers, path and query decide
        which one, so that a seed repeats it.
        """

        def get(self, case: schemathesis.Case, context: object) -> str:
            world = current().world
            name = str(case.operation.definition.raw.get("operationId"))
            values = case.path_parameters or {}
            sent = (name, *sorted(case.headers.items()), *values.items(), str(case.query))
            if zlib.crc32(repr(sent).encode()) % 8 == 2:
                return world.stranger
            addressed = str(values.get("id", values.get("domain_id", "")))
            return world.permitted(name, addressed) or next(iter(world.tokens.values()))

        def set(self, case: schemathesis.Case, data: str, context: object) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    latest, writing = plug_in_checks(current), _Writing()
    spoilt: set[str] = set()  # cases that have nothing left to write to

    @schemathesis.hook
    def before_call(
        context: HookContext, case: schemathesis.Case, kwargs: dict[str, object]
    ) -> None:
        """A moment made from a schema is never now, and what is not now is refused at the end."""
        name = str(case.operation.definition.raw.get("operationId"))
        own, url = writing.of(current().world), case.operation.schema.get_base_url()
        if not own.prepare(name, case, is_valid(case), url):
            spoilt.add(case.id)
        if is_valid(case) and isinstance(case.body, dict):
            for member in MOMENTS.get(name, ()):
                case.body[member] = moment()

    @schemathesis.hook
    def after_call(
        context: HookContext, case: schemathesis.Case, response: schemathesis.Response
    ) -> None:
        exchange = latest.of(response)
        tally = current().tally
        valid = is_valid(case) and case.id not in spoilt
        spoilt.discard(case.id)
        tally.add(exchange, FUZZED, valid, response.elapsed)
        writing.of(current().world).supply.answered(exchange)
        current().world.learn(exchange.name, exchange.value)
        if case.meta is not None:
            tally.phases[exchange.name, case.meta.phase.name.value] += 1

    @schemathesis.check
    def links_are_counted(
        ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
    ) -> None:
        """No check: it alone is told by which link of the file a case was led here."""
        recorder = ctx.internals.recorder
        step = recorder.cases[case.id] if recorder is not None else None
        if step is None or step.transition is None or not step.is_transition_applied:
            return
        if latest.of(response).succeeded:
            current().tally.links[step.transition.id, FUZZED] += 1


def plug_in_checks(current: Callable[[], Judge]) -> _Latest:
    """Register the judge's own checks alone; returns the exchange that they look at."""
    latest = _Latest()

    @schemathesis.hook
    def filter_failure(
        context: HookContext, failure: Any, case: Any, response: schemathesis.Response
    ) -> bool:
        """An id with a slash is another path, and a header that is no HTTP is refused before us:
        no operation answers, so that none's declarations hold. `status_is_declared` still looks.
        """
        return latest.of(response).is_ours

    for name in current().checks:
        schemathesis.check(_adapted(name, current, latest))
    _leave_the_silent()
    return latest


def _leave_the_silent() -> None:
    """A run of any length must end: a silent service gets little time, and then no request more.

    Schemathesis ends at a KeyboardInterrupt with the reports of what it has seen.
    """
    unanswered = 0

    @schemathesis.hook
    def before_call(
        context: HookContext, case: schemathesis.Case, kwargs: dict[str, object]
    ) -> None:
        nonlocal unanswered
        if unanswered >= MOST_SILENT:
            kwargs["timeout"] = 0.5
        if unanswered >= 6 * MOST_SILENT:
            raise KeyboardInterrupt
        unanswered += 1

    @schemathesis.hook
    def after_call(
        context: HookContext, case: schemathesis.Case, response: schemathesis.Response
    ) -> None:
        nonlocal unanswered
        unanswered = 0


def _adapted(name: str, current: Callable[[], Judge], latest: _Latest) -> Callable[..., None]:
    def check(ctx: object, response: schemathesis.Response, case: object) -> None:
        complaint = current().complaint(name, latest.of(response))
        if complaint is not None:
            raise AssertionError(complaint)

    check.__name__ = name
    return check
