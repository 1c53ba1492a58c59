"""The SpiceDB settings: what is malformed, and what the schema file must hold."""

from pathlib import Path

import pytest

from server.authz.admin import missing_from, schema_members, schema_text
from server.authz.endpoint import SpiceDbEndpoint, check_endpoint


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:1", "[::1]:65535"])
def test_insecure_is_for_loopback(address: str) -> None:
    endpoint = SpiceDbEndpoint(address, "key", insecure=True)
    assert endpoint.is_loopback
    assert check_endpoint(endpoint) == []


@pytest.mark.parametrize("address", ["spicedb.test:50051", "10.0.0.1:1", "0.0.0.0:1", "[::]:1"])
def test_insecure_elsewhere_is_refused(address: str) -> None:
    assert len(check_endpoint(SpiceDbEndpoint(address, "key", insecure=True))) == 1
    assert check_endpoint(SpiceDbEndpoint(address, "key")) == []


@pytest.mark.parametrize(
    "address",
    ["", "spicedb", "spicedb:", ":50051", "spicedb:0", "spicedb:65536", "spicedb:x", "::1:50051"]
    + ["http://spicedb:50051", "spicedb:50051/", "spice db:50051", "spicedb:50051\n", "ä:1"],
)
def test_a_malformed_address_is_complained_about(address: str) -> None:
    assert [c for c in check_endpoint(SpiceDbEndpoint(address, "key")) if "endpoint" in c]


@pytest.mark.parametrize("key", ["", "two words", "line\n", "schlüssel", "k" * 4097])
def test_a_malformed_key_is_complained_about_and_never_shown(key: str) -> None:
    endpoint = SpiceDbEndpoint("127.0.0.1:1", key, insecure=True)
    complaints = check_endpoint(endpoint)
    assert len(complaints) == 1
    assert not key or key not in complaints[0] + repr(endpoint)


def test_every_complaint_is_made_at_once(tmp_path: Path) -> None:
    endpoint = SpiceDbEndpoint("nowhere", "", ca=tmp_path / "absent.pem")
    assert [c.partition(":")[0] for c in check_endpoint(endpoint)] == ["endpoint", "token", "ca"]


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_holds_no_certificate_is_complained_about(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    assert len(check_endpoint(SpiceDbEndpoint("spicedb.test:1", "key", ca=path))) == 1


def test_the_schema_has_what_the_gates_ask_for() -> None:
    found = schema_members(schema_text())
    assert "node: relation agent = node | service | user" in found
    assert "node: permission node_agent = agent" in found
    assert missing_from(schema_text()) == []


def test_a_schema_that_lacks_or_changes_a_member_is_told_apart() -> None:
    text = schema_text()
    assert missing_from("") == sorted(schema_members(text))
    assert missing_from(text.replace("node_agent = agent", "node_agent = domain->auditor")) == [
        "node: permission node_agent = agent"
    ]


def test_a_definitions_closing_brace_stands_on_its_own_line() -> None:
    """The embedded SpiceDB refuses it elsewhere."""
    assert all(
        line.strip() == "}" for line in schema_text().splitlines() if "}" in line.split("//")[0]
    )
