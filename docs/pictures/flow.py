"""Draws flow.svg, the way of a pull: ``python -m docs.pictures.flow``. `make pictures` runs it."""

from __future__ import annotations

from html import escape
from pathlib import Path

WIDTH, HEIGHT = 984, 456
COLUMNS = (212, 398, 584, 770)
BOX_W, BOX_H = 164, 76
TOP, MIDDLE, BOTTOM = 82, 197, 298
STORE_H = 62
AGENT = (24, TOP, 152, BOTTOM + BOX_H - TOP)

# Legible on any page: the drawing brings its own ground, light or dark as the reader's system is.
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "Open Sans", sans-serif; fill: var(--ink); }
.name { font-weight: 700; font-size: 15px; }
.code { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.ground { fill: var(--ground); stroke: var(--edge); }
.gate { fill: var(--gate); stroke: var(--gate-edge); }
.inside { fill: var(--inside); stroke: var(--edge); }
.store { fill: var(--store); stroke: var(--store-edge); }
.no { fill: var(--no); stroke: var(--no-edge); }
.no-text { fill: var(--no-ink); font-weight: 600; }
.way { stroke: var(--way); stroke-width: 2.5; fill: none; marker-end: url(#way); }
.asks { stroke: var(--store-edge); stroke-width: 1.5; stroke-dasharray: 4 4; fill: none; }
.out { stroke: var(--no-edge); stroke-width: 1.5; fill: none; marker-end: url(#out); }
.way-head { fill: var(--way); }
.out-head { fill: var(--no-edge); }
svg { --ground: #ffffff; --ink: #1f2933; --edge: #cbd5e1; --gate: #ecf8f6; --gate-edge: #0f766e;
  --inside: #f8fafc; --store: #eef2ff; --store-edge: #6366f1; --no: #fef2f2; --no-edge: #dc2626;
  --no-ink: #991b1b; --way: #0f766e; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #14181c; --ink: #e5e9ee; --edge: #3b4754; --gate: #12302d; --gate-edge: #5eead4;
    --inside: #1f262d; --store: #22264a; --store-edge: #a5b4fc; --no: #3a1d1f; --no-edge: #f87171;
    --no-ink: #fecaca; --way: #5eead4; }
}
"""

# column, name, what it decides, and what it refuses with
FIRST_ROW = (
    (0, "gate 0: wired?", "all ports, or none", "501"),
    (1, "gate 1: who?", "a JWT's Principal", "401"),
    (2, "gate 1a: which?", "a canonical UUID", "400 · 406 · 413"),
    (3, "gate 2: may it?", "node-agent of the Node", "403 + audit · 503"),
)
SECOND_ROW = (
    (3, "gate 3: is it there?", "the Node's own row", "404 · 503"),
    (2, "gate 4: compose", "one moment, six blocks", "500 · 503"),
)
STORES = (
    (0, "contract", "plexsphere-v1.yaml"),
    (1, "JWKS", "public keys"),
    (2, "Postgres", "the ledger"),
    (3, "SpiceDB", "who is whose agent"),
)


def main() -> None:
    """Write flow.svg beside this file."""
    parts = [*agent(), *ways(), *questions()]
    for column, name, decides, refusal in FIRST_ROW:
        parts += box(column, TOP, "gate", name, decides) + refused(column, refusal, upwards=True)
    for column, name, decides, refusal in SECOND_ROW:
        parts += box(column, BOTTOM, "gate", name, decides)
        parts += refused(column, refusal, upwards=False)
    parts += box(1, BOTTOM, "inside", "wire", "bytes, ETag, audit row")
    parts += box(0, BOTTOM, "gate", "doorkeeper", "only what is declared")
    parts += refused(0, "500", upwards=False)
    for column, name, holds in STORES:
        parts += store(column, name, holds)
    target = Path(__file__).with_name("flow.svg")
    target.write_text(document(parts), encoding="utf-8")
    print(f"{target.name}: {target.stat().st_size} bytes")


def document(parts: list[str]) -> str:
    """The whole drawing."""
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="{size}" '
        f'markerHeight="{size}" orient="auto">'
        f'<path class="{name}-head" d="M0 0 10 5 0 10z"/></marker>'
        for name, size in (("way", 6), ("out", 7))
    )
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title what">\n'
        '<title id="title">The way of a pull</title>\n'
        '<desc id="what">An agent\'s request passes gates 0, 1, 1a and 2, then gate 3 and the '
        "composition from one moment of the ledger; the bytes are checked against the contract and "
        "come back as 200 or 304. Each gate has a refusal of its own.</desc>\n"
        f"<style>{STYLE}</style>\n<defs>{heads}</defs>\n"
        f'<rect class="ground" x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="12"/>\n'
        f"{body}\n</svg>\n"
    )


def agent() -> list[str]:
    """The caller, and the answer."""
    x, y, width, height = AGENT
    centre = x + width / 2
    lines = (
        (TOP + 30, "code", "GET …/{id}/state"),
        (TOP + 50, "code", "Bearer …"),
        (TOP + 126, "name", "agent"),
        (TOP + 148, "", "what should my"),
        (TOP + 166, "", "machine look like?"),
        (BOTTOM + 34, "code", "200 the whole"),
        (BOTTOM + 52, "code", "or 304 as held"),
    )
    return [
        f'<rect class="inside" x="{x}" y="{y}" width="{width}" height="{height}" rx="10"/>',
        *(text(centre, at, words, kind) for at, kind, words in lines),
    ]


def ways() -> list[str]:
    """The one way through, and back."""
    top, bottom = TOP + BOX_H / 2, BOTTOM + BOX_H / 2
    right = COLUMNS[3] + BOX_W
    left_of = [(COLUMNS[n] + BOX_W, COLUMNS[n + 1]) for n in range(3)]
    return [
        line("way", f"M{AGENT[0] + AGENT[2]} {top}H{COLUMNS[0] - 3}"),
        *(line("way", f"M{start} {top}H{end - 3}") for start, end in left_of),
        line("way", f"M{right} {top}h14q8 0 8 8V{bottom - 8}q0 8 -8 8h-11"),
        *(line("way", f"M{end} {bottom}H{start + 3}") for start, end in left_of),
        line("way", f"M{COLUMNS[0]} {bottom}H{AGENT[0] + AGENT[2] + 3}"),
    ]


def questions() -> list[str]:
    """The lines from a step to the store that it asks."""
    up, down = (TOP + BOX_H, MIDDLE), (MIDDLE + STORE_H, BOTTOM)
    asked = ((0, down), (1, up), (2, down), (3, up))
    straight = [
        line("asks", f"M{COLUMNS[n] + BOX_W / 2} {start}V{end}") for n, (start, end) in asked
    ]
    corner = COLUMNS[2] + BOX_W - 26
    bend = line(
        "asks", f"M{corner} {down[0]}q0 20 20 20H{COLUMNS[3] + 24}q20 0 20 {down[1] - down[0] - 20}"
    )
    return [*straight, bend]


def box(column: int, y: int, kind: str, name: str, says: str) -> list[str]:
    """A step of the way."""
    x = COLUMNS[column]
    return [
        f'<rect class="{kind}" x="{x}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="10"/>',
        text(x + BOX_W / 2, y + 33, name, "name"),
        text(x + BOX_W / 2, y + 54, says),
    ]


def store(column: int, name: str, holds: str) -> list[str]:
    """The stores."""
    x, y = COLUMNS[column] + 6, MIDDLE
    return [
        f'<rect class="store" x="{x}" y="{y}" width="{BOX_W - 12}" height="{STORE_H}" rx="22"/>',
        text(x + BOX_W / 2 - 6, y + 27, name, "name"),
        text(x + BOX_W / 2 - 6, y + 46, holds),
    ]


def refused(column: int, words: str, *, upwards: bool) -> list[str]:
    """A way out."""
    centre = COLUMNS[column] + BOX_W / 2
    start, end, y = (TOP, TOP - 28, TOP - 58) if upwards else (
        BOTTOM + BOX_H, BOTTOM + BOX_H + 28, BOTTOM + BOX_H + 30
    )  # fmt: skip
    width = 26 + 7.6 * len(words)
    return [
        line("out", f"M{centre} {start}V{end}"),
        f'<rect class="no" x="{centre - width / 2:g}" y="{y}" width="{width:g}" height="28" '
        'rx="14"/>',
        text(centre, y + 19, words, "no-text"),
    ]


def line(kind: str, way: str) -> str:
    """A path of one kind."""
    return f'<path class="{kind}" d="{way}"/>'


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Centred words."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="middle">{escape(words)}</text>'


if __name__ == "__main__":
    main()
