"""The driver of openapi-python-client's client: prints a line of JSON for each case."""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from pathlib import Path

import generated.api as api
from frames import events
from generated import Client


def function_of(operation):
    """``sync_detailed`` of the operation's module."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    for tag in pkgutil.iter_modules(api.__path__):
        for module in pkgutil.iter_modules([f"{api.__path__[0]}/{tag.name}"]):
            if module.name == name:
                return importlib.import_module(f"generated.api.{tag.name}.{name}").sync_detailed
    raise LookupError(operation)


def read_events(case):
    """None where each event was decoded by the model of its type, else why it was not."""
    models = importlib.import_module("generated.models")
    request = importlib.import_module("generated.api.mesh.get_node_events")._get_kwargs
    client = Client(base_url=case["url"]).get_httpx_client()
    with client.stream(**request(**case["parameters"])) as response:
        for kind, envelope in events(response.iter_lines(), case["events"]):
            model = getattr(models, kind.title().replace("_", "") + "Event")
            if str(model.from_dict(envelope).type_) != kind:
                return f"{kind} is another event"


def call(case):
    """None where the answer was decoded, else why it was not."""
    if case["events"]:
        return read_events(case)
    function = function_of(case["operation"])
    # Without verification no certificates are read, which takes longer than the call.
    client = Client(base_url=case["url"], raise_on_unexpected_status=True, verify_ssl=False)
    arguments = dict(case["parameters"], client=client)
    body = inspect.signature(function).parameters.get("body")
    if body is not None:
        models = importlib.import_module("generated.models")
        (model,) = re.findall(r"\w+", str(body.annotation))[-1:]
        arguments["body"] = getattr(models, model).from_dict(case["body"])
    response = function(**arguments)
    return "no value" if case["has_body"] and response.parsed is None else None


for number, case in enumerate(json.loads(Path(sys.argv[1]).read_text())):
    try:
        error = call(case)
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    print(json.dumps({"case": number, "error": error}))
