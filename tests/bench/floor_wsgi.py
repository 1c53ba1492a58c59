"""The floor: the contract served by Connexion as it comes, with constant answers.

No authentication, no validation, no audit, none of our seams: what Flask and Connexion cost under
the same HTTP server. ``BENCH_FLOOR`` names a JSON file: by operationId the headers of a 200 and the
file of its body. A request with ``If-None-Match`` gets an empty 304 with the same headers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import connexion
import flask
from connexion.resolver import Resolution, Resolver

from server.contract.document import Contract


def _unchecked(*values: object, **options: object) -> Any:
    return lambda function: function


class _Constant(Resolver):  # type: ignore[misc]
    def __init__(self, answers: dict[str, Any]) -> None:
        super().__init__()
        self._answers = answers

    def resolve(self, operation: Any) -> Resolution:
        name = operation.operation_id
        answer = self._answers.get(name, {"headers": {}, "body": os.devnull})
        headers, body = answer["headers"], Path(answer["body"]).read_bytes()

        def view(**parameters: object) -> flask.Response:
            if "If-None-Match" in flask.request.headers:
                return flask.Response(b"", 304, headers)
            return flask.Response(body, 200, headers)

        return Resolution(view, name)


def _application() -> flask.Flask:
    document = {**Contract.packaged().document, "security": []}
    document["paths"] = {
        path: {
            method: {**operation, "security": []} if isinstance(operation, dict) else operation
            for method, operation in operations.items()
        }
        for path, operations in document["paths"].items()
    }
    front = connexion.FlaskApp(
        "floor",
        options={"swagger_ui": False, "serve_spec": False},
        server_args={"static_folder": None},
    )
    front.add_api(
        document,
        resolver=_Constant(json.loads(Path(os.environ["BENCH_FLOOR"]).read_text())),
        validator_map={"parameter": _unchecked, "body": _unchecked},
    )
    app: flask.Flask = front.app
    return app


application = _application()
