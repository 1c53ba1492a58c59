"""The words of generated ledgers: each is here for a reason, legal or corrupt."""

from __future__ import annotations

import hashlib
import json

from tests.ledger_tables import NIL, line

DOMAIN_IDS = [
    "0190b2c4-0000-7000-8000-00000000d0d0",
    "00000000-0000-4000-8000-000000000001",
    "ffffffff-ffff-4fff-bfff-ffffffffffff",
]
NODE_IDS = [
    *(f"0190b2c4-8d5e-7000-8000-{number:012x}" for number in (1, 2, 9, 10, 16, 255)),
    "00000000-0000-0000-0000-000000000001",
    "7fffffff-ffff-7fff-bfff-ffffffffffff",
    "80000000-0000-7000-8000-000000000000",
    "a0000000-0000-7000-8000-000000000000",
    "9fffffff-0000-7000-8000-00000000000a",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    NIL,
]
RESOURCE_IDS = [f"{digit}0000000-0000-4000-8000-000000000000" for digit in "5a09f"]
ITEM_IDS = [f"{digit}1111111-0000-4000-8000-000000000000" for digit in "3c0f8"]
POLICY_IDS = [f"{digit}2222222-0000-4000-8000-000000000000" for digit in "b10fa"]
REVISION_IDS = [f"{digit}3333333-0000-4000-8000-000000000000" for digit in "9ac1"]

ADDRESSES = [
    None,
    "0.0.0.0",
    "::",
    "10.42.0.7",
    "10.42.0.200/16",
    "0.0.0.0/8",
    "::/0",
    "0.0.0.1",
    "255.255.255.255",
    "fd00:42::9",
    "fd00:42::9/64",
    "2001:db8:0:0:1:0:0:1",
    "1:0:0:2::3",
    "1:2:3:4:5:6:0:8",
    "::1",
    "::ffff:10.42.0.7",
    "::ffff:0.0.0.0",
    "::10.1.2.3",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::1",
]
KEYS = [
    *(hashlib.sha256(bytes([number])).digest() for number in range(6)),
    bytes(32),
    b"\xff" * 32,
    None,
    b"",
    b"\0",
    bytes(31),
    bytes(33),
    b"ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=",
]
MOMENTS = [
    "2026-11-23T08:00:00Z",
    "2026-11-23T08:00:00.1Z",
    "2026-11-23T08:00:00.120300+05:30",
    "2026-11-23T08:00:00.000001Z",
    "2026-11-23T08:00:00.999999-11:00",
    "1969-12-31T23:59:59.999999Z",
    "1970-01-01T00:00:00Z",
    "2000-02-29T12:34:56.5Z",
    "2016-12-31T23:59:60Z",
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00.000001Z",
    "0999-06-01T10:20:30.000010Z",
    "9999-12-31T23:59:59.999999Z",
]
NO_MOMENTS = ["infinity", "-infinity", "10000-01-01T00:00:00Z", "0001-12-31T23:59:59Z BC"]
STATES = ["healthy", "stale", "unreachable", ""]
NO_STATES = ["never_reported", "Healthy", " "]
TEXTS = [
    "",
    "ok",
    "Zürich",
    "e\u0301",
    '"quoted" \\back\\ /slash/ </script>',
    "\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x80\x85",
    "\u2028\u2029\ufeff\ufffe\uffff",
    "\ud7ff\ue000\uf8ff",
    "😀𝄞\U0010ffff",
    "null",
    '{"a":[1,2.0]}',
    " leading and trailing ",
    "\u202eright to left",
    "x" * 4096,
    "€" * 4096,
    "\U0010fffe" * 1024,
]
ENTRY_KEYS = [
    "a",
    "B",
    "Z",
    "_",
    "a.b-c_1",
    "é",
    "e\u0301",
    "\ue000",
    "\uffff",
    "😀",
    "\x01",
    "\n",
    "k" * 128,
    "\U0010ffff" * 128,
    "ss",
    "ß",
    "10",
    "9",
]
HOSTS = [
    "relay.example.net",
    "RELAY",
    "10.0.0.1",
    "fd00::1",
    "::1",
    "::ffff:10.0.0.1",
    "xn--rly-qla4b.example",
    "h" * 253,
    "under_score.example",
    "a",
]
CIDR_PAIRS = [
    ("10.0.0.0/8", "10.42.0.7/32"),
    ("0.0.0.0/0", "255.255.255.255/32"),
    ("10.42.0.7/8", "192.168.0.0/0"),
    ("fd00:42::/32", "fd00:42::7/128"),
    ("::/0", "FD00::/8"),
    ("0:0:0:0:0:0:0:0/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"),
]
SUBNETS = ["192.168.10.0/24", "192.168.2.0/24", "0.0.0.0/0", "fd00::/8", "2001:db8::/32", "::1"]
SLUGS = ["a", "a-1", "a0", "b", "0", "z" * 63, "staff", "a-b-c"]
# Legal JSON that says more than a Python value would: spellings, sizes, doubled keys.
ROUTING_TEXTS = [
    "{}",
    '{"b":1,"aa":2,"a":3,"B":4}',
    '{"z":{"y":{"x":[{"b":1,"a":2},[],{}]}},"é":"\\u00e9","😀":"\\ud83d\\ude00","\\ue000":0}',
    '{"n":[0,-0,-0.0,0.0,1.0,1.10,1e2,1E-7,1e22,123456789012345678901234567890,0.1,5e-324]}',
    '{"big":1e400,"huge":[1.5e308,2e308]}',
    '{"long":0.1000000000000000055511151231257827,"third":0.333333333333333333333}',
    '{"twice":1,"twice":2}',
    '{"t":true,"f":false,"null":null,"":""}',
    '{"control":"\\u0001\\b\\f\\n\\r\\t\\u007f\\u2028\\"\\\\\\/"}',
    "{" + '"deep":{' * 60 + "}" * 61,
    json.dumps({f"key{number}": number for number in range(200)}),
]
# A number past all floats that is no integer, and an integer longer than Python reads.
NO_ROUTING_TEXTS = ['{"n":%s.5}' % ("1" * 400), '{"n":%s}' % ("1" * 4400)]

RULE = {"action": "allow", "protocol": "icmp", "source_cidr": "::/0", "destination_cidr": "::/0"}
TCP = RULE | {"protocol": "tcp", "ports": {"from": 1, "to": 2}}
# What no compiled row may hold, line by line.
BAD_LINES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff",
    b"\xef\xbb\xbf" + line(RULE).encode(),
    b'{"action":"allow","action":"allow","protocol":"any","source_cidr":"::/0",'
    b'"destination_cidr":"::/0"}',
    *(
        line(rule).encode()
        for rule in (
            {key: RULE[key] for key in ("action", "protocol", "source_cidr")},
            RULE | {"note": ""},
            RULE | {"action": "ALLOW"},
            RULE | {"action": None},
            RULE | {"action": ["allow"]},
            RULE | {"protocol": "sctp"},
            RULE | {"source_cidr": "10.0.0.0/8"},
            RULE | {"source_cidr": "::1"},
            RULE | {"source_cidr": "::ffff:10.0.0.1/128"},
            RULE | {"source_cidr": "::/0\n"},
            RULE | {"source_cidr": "::/129"},
            RULE | {"source_cidr": "٣::/0"},
            RULE | {"source_cidr": "10.0.0.300/8", "destination_cidr": "10.0.0.0/8"},
            RULE | {"ports": {"from": 1, "to": 2}},
            {key: value for key, value in TCP.items() if key != "ports"},
            TCP | {"ports": None},
            TCP | {"ports": {"from": 1}},
            TCP | {"ports": {"from": 1, "to": 2, "step": 1}},
            TCP | {"ports": {"from": 0, "to": 2}},
            TCP | {"ports": {"from": 2, "to": 1}},
            TCP | {"ports": {"from": 1, "to": 65536}},
            TCP | {"ports": {"from": 1.0, "to": 2}},
            TCP | {"ports": {"from": True, "to": 2}},
            TCP | {"ports": {"from": "1", "to": 2}},
        )
    ),
]
