"""Which credentials an operation asks for."""

from __future__ import annotations

from collections.abc import Mapping

from deploy.breaking.documents import Document, Place
from deploy.breaking.media import Pair, said

# A scheme as a client meets it, with the scopes asked of it; its name in the file does not travel.
Scheme = tuple[str, frozenset[str]]
Requirement = frozenset[Scheme]
_ON_THE_WIRE = ("type", "scheme", "in", "name", "openIdConnectUrl")


def compare_security(pair: Pair, old: Mapping[str, Place], new: Mapping[str, Place]) -> None:
    """Whatever was enough before has to be enough still."""
    before = _requirements(pair.old.document, old)
    after = _requirements(pair.new.document, new)
    pointer = new["security"].pointer if "security" in new else "#/security"
    for one in sorted(before - after, key=_shown):
        if not any(_asks_no_more(other, one) for other in after):
            if one:
                why = "a request with the old one is now refused"
                pair.breaking(pointer, f"credential {_shown(one)} is no longer enough", why)
            else:
                why = "a request without one is now refused"
                pair.breaking(pointer, "a credential is now asked for", why)
    for one in sorted(after - before, key=_shown):
        change = f"credential {_shown(one)} is now enough" if one else "no credential is asked for"
        if not any(_asks_no_more(other, one) for other in before):
            pair.harmless(pointer, change, "there is one way more to be let in")


def _requirements(document: Document, operation: Mapping[str, Place]) -> frozenset[Requirement]:
    place = operation.get("security") or document.root.child("security")
    schemes = document.mapping(
        document.mapping(document.root.child("components")).get("securitySchemes")
    )
    found = frozenset(
        frozenset(
            (_identity(document, schemes.get(name), name), frozenset(map(str, scopes.value or ())))
            for name, scopes in document.mapping(one).items()
        )
        for one in document.listing(place)
    )
    return found or frozenset({frozenset()})  # an empty list asks for nothing


def _identity(document: Document, scheme: Place | None, name: str) -> str:
    if scheme is None:
        return name
    members = document.mapping(scheme)
    return " ".join(str(said(members, key)) for key in _ON_THE_WIRE if key in members)


def _asks_no_more(one: Requirement, other: Requirement) -> bool:
    """Whether whoever satisfies ``other`` satisfies ``one``."""
    given = dict(other)
    return all(name in given and scopes <= given[name] for name, scopes in one)


def _shown(requirement: Requirement) -> str:
    return " and ".join(
        f"{name} ({', '.join(sorted(scopes))})" if scopes else name
        for name, scopes in sorted(requirement, key=lambda one: one[0])
    )
