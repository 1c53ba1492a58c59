"""The module that `SCHEMATHESIS_HOOKS` names: the plug-in in the process of the command line.

The counts are written when that process ends; `campaign.py` reads them.
"""

import atexit
import os
from pathlib import Path

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from tests.client import EVENT_STREAM, opening
from tests.fuzz.judge import Judge
from tests.fuzz.plug_in import plug_in
from tests.fuzz.world import World

FOLDER = Path(os.environ["FUZZ_FOLDER"])
JUDGE = Judge(World.load(FOLDER / "world.json"))

_send = HTTPAdapter.send


def send(
    adapter: HTTPAdapter, request: PreparedRequest, *rest: object, **options: object
) -> Response:
    """The library's own, but that a stream is read as far as its opening."""
    response = _send(adapter, request, *rest, **options)  # type: ignore[arg-type]
    if response.headers.get("Content-Type") == EVENT_STREAM and request.method != "HEAD":
        response._content = opening(response.iter_content(1))
        response._content_consumed = True  # type: ignore[attr-defined]
        response.close()
    return response


HTTPAdapter.send = send  # type: ignore[method-assign]
plug_in(lambda: JUDGE)
atexit.register(JUDGE.tally.save, FOLDER / "tally.json")
