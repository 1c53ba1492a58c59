"""The forms of planted breaches of writes, and of pages that go on."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from composer.audit import AuditRow
from composer.registry import node_cursor
from tests.fuzz.breached_build import Build


def only_refusals_audited(build: Build) -> None:
    def record(row: AuditRow) -> None:
        if row.outcome != "granted":
            build.sink.rows.append(row)

    build.sink.record = record  # type: ignore[method-assign]


def entries_kept(build: Build) -> None:
    build.entries.remove = lambda *arguments, **named: None  # type: ignore[method-assign]


def nodes_kept(build: Build) -> None:
    build.node_registry.deregister = lambda *arguments, **named: None  # type: ignore[method-assign]


def another_nodes_token(build: Build) -> None:
    build.mint.of = UUID(build.ids[0])


def keys_passed_over(build: Build) -> None:
    build.rewrite = lambda environ: environ.pop("HTTP_IDEMPOTENCY_KEY", None)


def cursors_of_any_domain(build: Build) -> None:
    """Where the other Domain's page ended, this one's begins."""

    def rewrite(environ: dict[str, Any]) -> None:
        query = parse_qs(environ["QUERY_STRING"])
        cursor = query.get("cursor", [""])[0]
        if len(cursor) == 43:  # of two UUIDs
            raw = base64.urlsafe_b64decode(f"{cursor}=")
            domain = UUID(environ["PATH_INFO"].split("/")[3])
            query["cursor"] = [node_cursor(domain, UUID(bytes=raw[16:]))]
            environ["QUERY_STRING"] = urlencode(query, doseq=True)

    build.rewrite = rewrite
