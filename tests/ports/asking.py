"""A good request to the service on fakes: its first Node, its Domain, the contract's examples."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from server.contract.document import Contract
from tests.contract.documented import parameter_examples
from tests.factories import DOMAIN, node_id

NODE = f"/v1/nodes/{node_id(1)}"
IN_DOMAIN = f"/v1/domains/{DOMAIN}"
CONTRACT = Contract.packaged()
EXAMPLES = parameter_examples(CONTRACT.document)


def path_of(name: str) -> str:
    """The path of an operation, percent-decoded."""
    path = CONTRACT.operations[name].path
    path = path.replace("/v1/nodes/{id}", NODE).replace("/v1/domains/{domain_id}", IN_DOMAIN)
    return path.format_map(EXAMPLES[name])


def query_of(name: str) -> str:
    """The parameters without which an operation is never asked."""
    required = [
        parameter for parameter in CONTRACT.operations[name].parameters if parameter.required
    ]
    values = {
        parameter.name: EXAMPLES[name][parameter.name]
        for parameter in required
        if parameter.kind == "query"
    }
    return urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()})
