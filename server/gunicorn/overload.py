"""503 `overloaded`: the answer to what cannot be answered before its client gives up.

Made without the application, which is what there is too little time for.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from gunicorn.http.wsgi import Response

from handlers.refusals import OVERLOADED
from handlers.wire import json_bytes
from server.gunicorn.connection import Connection
from server.http.problems import TITLES, problem_answer
from server.http.request_context import CORRELATION_HEADER, correlation_id_of

# Seconds; clients that are refused together must not come back together.
RETRY_AFTER = (5, 30)


def answer_overloaded(connection: Connection, cfg: Any) -> bool:
    """Write the answer; whether another request may follow on the connection."""
    request = connection.request
    correlation_header = next(
        (text for name, text in request.headers if name == CORRELATION_HEADER.upper()), ""
    )
    correlation_id = correlation_id_of(correlation_header)
    kind = replace(OVERLOADED, retry_after=random.randint(*RETRY_AFTER))
    answer = problem_answer(kind, unquote(request.path), correlation_id)
    body = json_bytes(answer.body)
    response = Response(request, connection, cfg)
    headers = {
        **answer.headers,
        "Content-Type": str(answer.media_type),
        "Content-Length": str(len(body)),
        CORRELATION_HEADER: correlation_id,
    }
    connection.begin_answer()
    response.start_response(f"{kind.status} {TITLES[kind.status]}", list(headers.items()))
    if request.method == "HEAD":
        response.close()
    else:
        response.write(body)
    return not response.should_close()
