"""The statuses of an operation, and the content of each."""

from __future__ import annotations

from deploy.breaking.content import Pair, compare_content, compare_headers
from deploy.breaking.documents import Place
from server.contract.schemas import Direction

CODES = "x-problem-codes"


def compare_responses(pair: Pair, old: Place | None, new: Place | None) -> None:
    """Status by status; ``default`` and ranges such as ``4XX`` are statuses of their own."""
    before, after = pair.members(old, new)
    for status, place in before.items():
        if status in after:
            _compare_response(pair.within(status), place, after[status])
        else:
            why = "clients branch on it, and nothing says what is sent in its place"
            pair.within(status).breaking(place.pointer, f"status {status} is gone", why)
    had_success = any(status.startswith("2") for status in before)
    for status in [status for status in after if status not in before]:
        _new_status(pair.within(status), status, after[status], had_success)


def _new_status(pair: Pair, status: str, place: Place, had_success: bool) -> None:
    change = f"status {status} is new"
    if status.startswith("2") and had_success:
        why = "a client that waits for the declared success misreads another status"
        pair.breaking(place.pointer, change, why)
    elif status.startswith("2"):
        pair.harmless(place.pointer, change, "until now the operation never succeeded")
    elif status == "304":
        pair.harmless(place.pointer, change, "only a conditional request gets it")
    elif status.startswith("3"):
        pair.breaking(place.pointer, change, "a client that follows no redirects gets no answer")
    else:
        why = "a client treats a refusal it does not know as the first of its class"
        pair.harmless(place.pointer, change, why)


def _compare_response(pair: Pair, old: Place, new: Place) -> None:
    before, after = pair.members(old, new)
    compare_headers(pair, before.get("headers"), after.get("headers"))
    compare_content(pair, Direction.ANSWER, before.get("content"), after.get("content"))
    if CODES in before:
        _codes(pair, old, new, before[CODES], after.get(CODES))


def _codes(pair: Pair, old: Place, new: Place, before: Place, after: Place | None) -> None:
    had = [str(place.value) for place in pair.old.document.listing(before)]
    has = [str(place.value) for place in pair.new.document.listing(after)]
    pointer = after.pointer if after else pair.new.document.follow(new).pointer
    for code in [code for code in had if code not in has]:
        why = "a client that branches on it waits for what no longer comes"
        pair.breaking(pointer, f"problem code {code} is gone", why)
    for code in [code for code in has if code not in had]:
        why = "clients branch on the code, and none of their branches for this status fits"
        pair.breaking(pointer, f"problem code {code} is new for this status", why)
