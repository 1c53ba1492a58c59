"""``plexsphere-state top``: what the service does now, from two scrapes of /metrics."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from server.cli.addresses import metrics_url
from server.cli.failures import ExitCode, Failure
from server.cli.options import Url
from server.cli.screen import Screen, line, plain

if TYPE_CHECKING:
    from server.cli.scrape import Change

EXAMPLE = "plexsphere-state top\n\nplexsphere-state top --once"
SECONDS = 2.0
# A stage is a column, in the order of a request.
_STAGES = {
    "queue": "queue",
    "authentication": "auth",
    "spicedb_wait": "wait",
    "spicedb": "spice",
    "pool_wait": "pool",
    "postgres": "pg",
    "handler": "work",
    "validation": "valid",
}
# All columns fit into 80 characters.
_WIDTHS = (16, 6, 5, 5, 5, 6, 5, 5, 6, 5, 5, 5, 6)
_HEADER = ("operation", "per s", "bad", "p50", "p99", *_STAGES.values())


def top(
    url: Url = "",
    every: Annotated[
        float, typer.Option("--every", min=0.5, max=60, help="Seconds between two readings.")
    ] = SECONDS,
    once: Annotated[bool, typer.Option("--once", help="Read once, print and end.")] = False,
) -> None:
    """Show rates, latencies, and the stage in which requests spend their time, until Ctrl-C.

    Each row is an operation: requests a second, the share of 500 and above, then milliseconds: the
    0.5 and 0.99 quantiles of its latency, and the mean of each stage. wait is for a permit to
    ask spice, SpiceDB; pool for a connection to pg, Postgres; work is the handler. Below are
    threads, requests that wait for them, connections in use, and what waits in the ledger.

    URL is that of one instance, at its PLEXSPHERE_INTERNAL_BIND where that is set. It needs no
    token.
    """
    from rich.console import Group
    from rich.live import Live

    from server.cli.scrape import Change, scrape

    url = metrics_url(url)
    before = scrape(url)
    if once:
        time.sleep(every)
        screen = Screen()
        screen.print_all(render(Change(before, scrape(url)), screen.width))
        return
    try:
        with Live(screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(every)
                try:
                    change = Change(before, before := scrape(url))
                    shown = Group(*render(change, live.console.width))
                except Failure as failure:  # a restart, perhaps
                    live.update(plain(failure.sentence, "bold red"), refresh=True)
                else:
                    live.update(shown, refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.OK) from None


def render(change: Change, width: int) -> Iterator[Text]:
    """Lines of at most ``width`` characters; with 80 and more all columns are there."""
    shown = sum(1 for end in accumulate(_WIDTHS) if end <= width)
    yield line("requests", f"{change.rate('plexsphere_http_requests_total'):,.1f} a second")
    yield plain(_columns(_HEADER[:shown]), "bold")
    for operation in change.operations():
        bad = change.share_of_bad(operation)
        style = "bold red" if bad else "default"
        yield plain(_columns(_row(change, operation, bad)[:shown]), style)
    if shown < len(_HEADER):
        yield plain(f"A wider terminal shows {', '.join(_HEADER[shown:])} too.", "dim")
    threads = _shares(change=change, used="threads_busy", all_of="threads", label="lane")
    pools = ("pool_connections_used", "pool_connections")
    connections = _shares(change=change, used=pools[0], all_of=pools[1], label="pool")
    yield _items("threads ", threads, width)
    yield _items("waiting ", _levels(change, "requests_waiting", "lane"), width)
    yield _items("postgres", connections, width)
    yield _items("ledger  ", _ledger(change), width)


def _items(title: str, items: Iterable[str], width: int) -> Text:
    """A line whose title is bold, and further lines below the items where one has no room."""
    between, lines = 2, [""]
    for item in items:
        joined = f"{lines[-1]}{' ' * between if lines[-1] else ''}{item}"
        if lines[-1] and len(title) + between + len(joined) > width:
            lines.append(item)
        else:
            lines[-1] = joined
    first, *others = lines
    indent = "\n" + " " * (len(title) + between)
    return line(title, first).append("".join(indent + plain(other).plain for other in others))


def _row(change: Change, operation: str, bad: float) -> tuple[str, ...]:
    name = "plexsphere_http_request_seconds"
    stages = change.means("plexsphere_http_stage_seconds", "stage", operation=operation)
    rate = change.rate("plexsphere_http_requests_total", operation=operation)
    quantiles = (change.quantile(share, name, operation=operation) for share in (0.5, 0.99))
    means = (stages.get(stage) for stage in _STAGES)
    a_second = f"{rate:,.1f}" if rate < 1000 else f"{rate:,.0f}"
    return (operation, a_second, f"{bad:.0%}", *map(_ms, (*quantiles, *means)))


def _columns(cells: Sequence[str]) -> str:
    first, *others = zip(cells, _WIDTHS[: len(cells)], strict=True)
    padded = (text.rjust(width) for text, width in others)
    return "".join((first[0][: first[1]].ljust(first[1]), *padded))


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds >= 10:
        return f"{seconds:.0f}s"
    milliseconds = 1000 * seconds
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:.0f}"


def _shares(change: Change, used: str, all_of: str, label: str) -> list[str]:
    most = change.levels(f"plexsphere_{all_of}", label)
    found = change.levels(f"plexsphere_{used}", label)
    return [f"{name} {found.get(name, 0):g}/{number:g}" for name, number in most.items()]


def _levels(change: Change, name: str, label: str) -> list[str]:
    found = change.levels(f"plexsphere_{name}", label)
    return [f"{key} {value:g}" for key, value in found.items()]


def _ledger(change: Change) -> list[str]:
    shown = {
        "outbox": "plexsphere_outbox_rows_waiting",
        "events": "plexsphere_events_waiting",
        "swept s ago": "plexsphere_evaluator_last_sweep_age_seconds",
        "streams": "plexsphere_event_streams_held",
        "cached peers": "plexsphere_cached_peers",
    }
    if change.level(shown["outbox"]) is None:
        return ["Postgres does not answer"]
    return [f"{title} {change.level(name) or 0:.4g}" for title, name in shown.items()]
