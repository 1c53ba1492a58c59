"""The driver of openapi-generator's Python client: prints a line of JSON for each case."""

import inspect
import json
import re
import sys
from pathlib import Path

import openapi_client
from frames import events
from openapi_client.exceptions import ApiException


def call(case):
    """None where the answer was decoded, else why it was not."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", case["operation"]).lower()
    client = openapi_client.ApiClient(openapi_client.Configuration(host=case["url"]))
    classes = [value for key, value in vars(openapi_client).items() if key.endswith("Api")]
    (owner,) = (found for found in classes if hasattr(found, name))
    if case["events"]:
        response = getattr(owner(client), f"{name}_without_preload_content")(**case["parameters"])
        for kind, envelope in events((line.decode() for line in response), case["events"]):
            event = openapi_client.NodeEvent.from_json(json.dumps(envelope)).actual_instance
            if (
                event.type != kind
                or type(event).__name__ != kind.title().replace("_", "") + "Event"
            ):
                return f"{kind} is decoded as {type(event).__name__}"
        return None
    function = getattr(owner(client), f"{name}_with_http_info")
    values = list(case["parameters"].values())
    if case["body"] is not None:
        values.append(case["body"])
    required = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
    ]
    try:
        value = function(**dict(zip(required, values, strict=True))).data
    except ApiException as refused:
        value = refused.data
    return "no value" if case["has_body"] and value is None else None


for number, case in enumerate(json.loads(Path(sys.argv[1]).read_text())):
    try:
        error = call(case)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    print(json.dumps({"case": number, "error": error}))
