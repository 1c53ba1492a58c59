"""What is printed for each sample and for some more, beside the tree as it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from server.contract import Contract
from server.dev.scaffold import Part, parts
from server.dev.scaffold.tree import Tree
from tests.contract.scaffolded import KEY, SAMPLES, Sample, declaring

KEYED = "/v1/nodes/{id}/burrows/{burrow_key}"
# Nothing of these is pasted anywhere.
EVERY: Mapping[str, Sample] = {
    **SAMPLES,
    "of a Domain's trail": Sample(
        "SurveyDomainAudit", "/v1/domains/{domain_id}/survey", bad="InvalidDomainId"
    ),
    "of a Node's key": Sample(
        "DeleteNodeBurrow",
        KEYED,
        "delete",
        parameters=KEY % ("burrow_key", "ada"),
        success="",
        bad="InvalidEntry",
    ),
    "of two ports": Sample("SurveyEntries", "/v1/entries/survey"),
}
Places = Mapping[tuple[str, str], Part]


@cache
def contract() -> Contract:
    """The real one, with all of them."""
    return Contract(declaring(*EVERY.values()))


@cache
def printed(kind: str) -> Places:
    """By file and by what to do with it there."""
    return {(one.path, one.how): one for one in parts(EVERY[kind].name, contract(), _tree())}


@cache
def _tree() -> Tree:
    return Tree()


def code(kind: str, path: str = "") -> str:
    """All of it, or all that is for one file."""
    return "".join(one.code for one in printed(kind).values() if path in ("", one.path))
