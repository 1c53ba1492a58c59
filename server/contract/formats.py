"""The formats that are checked, as rules that jsonschema-rs does check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Rules = Mapping[str, Any]

# Draft 4 or the library do not check these formats (a callback costs 3x).
RECEIVED: Mapping[str, Rules] = {
    "uuid": {"pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
    "byte": {
        "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    },
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
    # The library also takes a lower-case t and z, which RFC 3339 allows and our contract does not.
    "date-time": {"format": "date-time", "pattern": "^[^a-z]*$"},
    "uri": {"format": "uri"},
    "binary": {},  # bytes as they are
}
# The service sends moments in one form: UTC, ``Z``, a fraction of at most nine digits that does not
# end with 0. The file has the format alone, because a client generated from a file with a pattern
# compares the pattern with its own text of the moment.
SENT: Mapping[str, Rules] = {
    **RECEIVED,
    "date-time": {
        "format": "date-time",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{0,8}[1-9])?Z$",
    },
}
