"""The page at ``/docs``: Swagger UI over ``/v1/openapi.yaml``, from files that come with the code.

Swagger UI is pinned and committed (``server/http/docs/README.md``). Script and style are served as
one file each: the package's, then ours.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from html import escape
from importlib import resources
from string import Template

from handlers.service import Asset, DocsPage
from server.contract.document import Contract

_FOLDER = resources.files("server.http") / "docs"
# Developer tools would ask us for the map, which is larger than the file and not served.
_SOURCE_MAP = re.compile(rb"(?://[#@]|/\*#) ?sourceMappingURL=\S+?(?: ?\*/)?\s*\Z")


def docs_page(contract: Contract) -> DocsPage:
    """The page of one contract, with the two files it loads."""
    info = contract.document["info"]
    page = Template((_FOLDER / "index.html").read_text("utf-8"))
    html = page.substitute(title=escape(str(info["title"])), version=escape(contract.version))
    return DocsPage(
        html=html.encode(),
        script=_joined("text/javascript", "swagger-ui-bundle.js", "page.js"),
        style=_joined("text/css", "swagger-ui.css", "page.css"),
    )


def _joined(media_type: str, *names: str) -> Asset:
    parts = (_SOURCE_MAP.sub(b"", (_FOLDER / name).read_bytes()) for name in names)
    body = b"\n".join(parts)
    tag = urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode("ascii")
    return Asset(body, f"{media_type}; charset=utf-8", tag)
