"""Operations that nobody will ever declare, for scaffold to print: a kind each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.contract import Contract

NODE, DOMAIN = ("#/components/parameters/NodeId", "#/components/parameters/DomainId")
CORRELATED = "headers: { X-Correlation-Id: { $ref: '#/components/headers/CorrelationId' } }"
TAGGED = CORRELATED.replace(" } }", " }, ETag: { $ref: '#/components/headers/ETag' } }")
SHOWN = """\
          content:
            application/json:
              schema:
                type: object
                additionalProperties: false
                required: [wombats]
                properties: { wombats: { type: array, items: { type: string } } }
              example: { wombats: [ada] }
"""
TEXT = """\
          content: { text/plain: { schema: { type: string, minLength: 1 }, example: shown } }
"""
BODY = """\
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              additionalProperties: false
              required: [names, limit]
              properties:
                names: { type: array, items: { type: string } }
                limit: { type: integer, format: int32, minimum: 1, maximum: 9 }
                note: { type: string, maxLength: 9 }
            example: { names: [ada], limit: 1, note: b }
"""
FREE = """\
      requestBody:
        required: true
        content:
          application/json:
            schema: { type: object, additionalProperties: true }
            example: { any: thing }
"""
QUERY = """\
        - { name: limit, in: query, schema: { type: integer, default: 5 }, example: 5 }
        - { name: %s_after, in: query, schema: { type: string }, example: ada }
        - { name: %s_exact, in: query, required: true, schema: { type: boolean }, example: true }
        - { name: %s_share, in: query, schema: { type: number }, example: 0.5 }
        - name: %s_tags
          in: query
          schema: { type: array, items: { type: string } }
          example: [a]
"""
KEY = "        - { name: %s, in: path, required: true, schema: { type: string }, example: %s }\n"
# A code that the file declares before anything else knows it.
DECLARED = """\
    InvalidWombatId:
      description: The id in the path is none.
      x-problem-codes: [invalid_wombat_id, unknown_query_parameter]
      headers:
        X-Correlation-Id: { $ref: '#/components/headers/CorrelationId' }
      content:
        application/problem+json:
          schema:
            $ref: '#/components/schemas/Problem'
          examples:
            invalid_wombat_id: { $ref: '#/components/examples/InvalidWombatId' }
            unknown_query_parameter: { $ref: '#/components/examples/UnknownQueryParameter' }

"""
EXAMPLE = """\
    InvalidWombatId:
      summary: An id that is none
      value:
        type: https://plexsphere.com/errors/invalid-wombat-id
        title: Bad Request
        status: 400
        detail: The wombat id must be a canonical lower-case UUID.
        instance: /v1/wombats/x
        code: invalid_wombat_id
        correlation_id: 5c0b7f0e2f7d4f0c9d4e1a2b3c4d5e6f

"""
STATUSES = {
    "401": "Unauthorized",
    "403": "InsufficientRelation",
    "404": "NodeNotFound",
    "406": "NotAcceptable",
    "413": "PayloadTooLarge",
    "415": "UnsupportedMediaType",
    "500": "InternalServerError",
    "503": "DependencyUnavailable",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """``bad`` and ``gate`` are the answers it declares for 400 and 501, ``success`` its body."""

    name: str
    path: str
    method: str = "get"
    parameters: str = ""
    success: str = SHOWN
    headers: str = CORRELATED
    body: str = ""
    bad: str = "UnknownQueryParameter"
    gate: str = ""
    large: str = "PayloadTooLarge"
    is_open: bool = False
    away: bool = True

    @property
    def text(self) -> str:
        """As it stands below ``paths``."""
        shared = ((NODE, "/v1/nodes/{id}"), (DOMAIN, "/v1/domains/{domain_id}"))
        of_path = (f"        - $ref: '{one}'\n" for one, at in shared if self.path.startswith(at))
        parameters = "".join([*of_path, self.parameters]) or "        []\n"
        answers = dict(STATUSES) | {"400": self.bad, "501": self.gate, "413": self.large}
        if self.path.startswith("/v1/domains/"):
            answers["404"] = "DomainNotFound"
        left_out = {"401", "403", "404", "501"} if self.is_open else set()
        left_out |= set() if self.body else {"415"}
        left_out |= set() if self.away else {"503"}
        declared = "".join(
            f"        '{status}': {{ $ref: '#/components/responses/{answer}' }}\n"
            for status, answer in sorted(answers.items())
            if answer and status not in left_out
        )
        status = "200" if self.success else "204"
        return (
            f"    {self.method}:\n"
            f"      operationId: {self.name}\n"
            "      x-strict-query: true\n"
            f"      summary: Some words.\n"
            f"{'      security: []' + chr(10) if self.is_open else ''}"
            f"      parameters:\n{parameters}{self.body}"
            f"      responses:\n        '{status}':\n          description: Done.\n"
            f"          {self.headers}\n{self.success}{declared}"
        )


def queried(prefix: str) -> str:
    """Of each type one, under names that no other operation has."""
    return QUERY.replace("%s", prefix)


DOMAINS, ENTRIES = "DomainsNotProvisioned", "EntriesNotProvisioned"
WOMBATS, KEPT = "/v1/nodes/{id}/wombats", "/v1/domains/{domain_id}/wombats/{wombat_key}"
# A gate 0 or a refusal of its body that the file lacks is one that scaffold has to find a code for.
SAMPLES: Mapping[str, Sample] = {
    "of a Node": Sample(
        "GetNodeWombats", WOMBATS, headers=TAGGED, bad="InvalidNodeId", gate=ENTRIES
    ),
    "of the same noun": Sample(
        "PutNodeWombats", WOMBATS, "put", body=BODY, bad="InvalidEntry", gate=ENTRIES
    ),
    "of it once more": Sample(
        "DeleteNodeWombats", WOMBATS, "delete", success="", bad="InvalidNodeId", gate=ENTRIES
    ),
    "of a noun that is there": Sample("SurveyDomains", "/v1/surveys", gate=DOMAINS),
    "of a taken name": Sample(
        "PolishDomain", "/v1/domains/{domain_id}/polish", "patch", body=FREE, bad="InvalidDomainId"
    ),
    "of a key": Sample(
        "GetDomainWombat",
        KEPT,
        parameters=KEY % ("wombat_key", "ada"),
        bad="InvalidDomainId",
        gate=DOMAINS,
    ),
    "of an id of its own": Sample(
        "GetWombat",
        "/v1/wombats/{id}",
        parameters=KEY % ("id", "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"),
        bad="InvalidWombatId",
        gate=ENTRIES,
    ),
    "with a query": Sample(
        "GetNodeBurrows",
        "/v1/nodes/{id}/burrows",
        parameters=queried("burrows"),
        bad="InvalidNodeId",
        gate=ENTRIES,
    ),
    "with a query and a body": Sample(
        "PutNodeBurrow",
        "/v1/nodes/{id}/burrow",
        "put",
        parameters=queried("burrow"),
        body=BODY,
        bad="InvalidEntry",
        gate=ENTRIES,
    ),
    "of a caller": Sample("ListWombats", "/v1/wombats", parameters=queried("wombat"), gate=ENTRIES),
    "of a caller with a body": Sample(
        "PostWombat", "/v1/wombats", "post", body=FREE, large="RequestBodyTooLarge", gate=ENTRIES
    ),
    "open": Sample("GetWombatLimits", "/v1/limits/wombats", is_open=True, away=False),
    "open text": Sample("GetWombatText", "/wombats.txt", success=TEXT, is_open=True),
    "without a body": Sample("PostWombatPing", "/v1/ping", "post", success="", is_open=True),
    "with a long name": Sample(
        "GetNodeWombatHistoryOfEveryBurrow",
        "/v1/nodes/{id}/all",
        parameters=queried("history"),
        bad="InvalidNodeId",
        gate=ENTRIES,
    ),
}


def declaring(*samples: Sample) -> bytes:
    """The real contract with these operations more, which have no handler."""
    paths: dict[str, str] = {}
    for one in samples:
        paths[one.path] = paths.get(one.path, f"  {one.path}:\n") + one.text
    text = Contract.packaged().raw.decode()
    text = text.replace("\ncomponents:\n", f"\n{''.join(paths.values())}\ncomponents:\n", 1)
    if any(one.bad == "InvalidWombatId" for one in samples):
        text = text.replace("    NotModified:\n", f"{DECLARED}    NotModified:\n", 1)
        anchor = "    SnapshotOfABridgeNode:\n"
        text = text.replace(anchor, f"{EXAMPLE}{anchor}", 1)
        first = "          enum:\n            - invalid_node_id\n"
        text = text.replace(first, f"{first}            - invalid_wombat_id\n", 1)
    return text.encode()
