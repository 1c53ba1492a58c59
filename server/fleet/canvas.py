"""A picture made of boxes and words, as SVG or as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

# Of a digit, near enough to place words by, in either format (pixels).
LETTER, LINE = 7, 13


class Canvas(Protocol):
    """Pixels from the upper left corner; colours as ``#rrggbb``."""

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Filled; at least a pixel wide and high."""

    def words(self, x: float, y: float, text: str) -> None:
        """One line that begins at ``x`` and stands on ``y``."""

    def to_bytes(self) -> bytes:
        """The file."""


def canvas(file: Path, width: int, height: int) -> Canvas:
    """By the file's ending, .svg or .png. Raises ImportError for a PNG without Pillow."""
    return Svg(width, height) if file.suffix == ".svg" else Png(width, height)


class Svg:
    """Written by hand: a box and a line of text need no library."""

    def __init__(self, width: int, height: int) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="{LINE}">'
        ]
        self.box(0, 0, width, height, "#ffffff")

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """As Canvas."""
        size = f'width="{max(1.0, width):.1f}" height="{max(1.0, height):.1f}"'
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>')

    def words(self, x: float, y: float, text: str) -> None:
        """As Canvas."""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>')

    def to_bytes(self) -> bytes:
        """As Canvas."""
        return "\n".join([*self._parts, "</svg>\n"]).encode()


class Png:
    """Painted by Pillow, with the font it brings."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self._image = Image.new("RGB", (width, height), "#ffffff")
        self._draw: ImageDraw = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(LINE)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """As Canvas."""
        corner = (x + max(1.0, width) - 1, y + max(1.0, height) - 1)
        self._draw.rectangle(((x, y), corner), fill=colour)

    def words(self, x: float, y: float, text: str) -> None:
        """As Canvas."""
        self._draw.text((x, y), text, fill="#000000", font=self._font, anchor="ls")

    def to_bytes(self) -> bytes:
        """As Canvas."""
        from io import BytesIO

        found = BytesIO()
        self._image.save(found, "PNG")
        return found.getvalue()
