"""The page at ``/docs``: a table of the operations, made from the contract."""

from __future__ import annotations

from html import escape

from server.contract import Contract

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #8884; }
code { font: .9em ui-monospace, monospace; }
"""


def docs_page(contract: Contract) -> bytes:
    """A page without script or outside request: what can be asked, and where the file is."""
    rows = "".join(
        f"<tr><td><code>{escape(one.method)} {escape(one.path)}</code></td>"
        f"<td>{escape(one.operation_id)}</td>"
        f"<td>{escape(', '.join(str(status) for status in one.responses))}</td></tr>"
        for one in contract.operations.values()
    )
    title = escape(str(contract.document["info"]["title"]))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title} {escape(contract.version)}</h1>"
        f'<p>The contract itself: <a href="/v1/openapi.yaml">/v1/openapi.yaml</a>.</p>'
        f"<table><tr><th>Request</th><th>Operation</th><th>Answers</th></tr>{rows}</table>"
        f"</body></html>"
    ).encode()
