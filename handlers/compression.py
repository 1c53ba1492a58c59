"""One gzip member out of parts that were compressed before, at no cost for their length.

A part is a run of deflate blocks that ends on a byte and refers to nothing before it, so parts
follow each other in any order. The checksum of the whole is computed from those of the parts:
appending ``n`` bytes multiplies a CRC by x^8n in the field of its polynomial (as zlib's
``crc32_combine`` does, which Python does not have).
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

LEVEL = 6
_MASK = 0xFFFFFFFF
_ONE = 0x5B358FD3  # the neutral shift, x^-32 (see _product)
# A byte for each bit of a number.
_BITS = int.from_bytes(b"\1" * 32)
_PARITIES = bytes(b"01"[sum_ & 1] for sum_ in range(256))
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # no name, no time: equal bytes again
_LAST_BLOCK = b"\x03\x00"
_STORED_MAX = 65_535


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Bytes that follow each other, and are not joined: most are shared by many answers."""

    pieces: tuple[bytes | memoryview, ...]

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def joined(self) -> bytes:
        """A copy."""
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Deflated:
    """``size`` plain bytes as deflate blocks; ``shift`` is x^(8 * size - 32)."""

    blocks: bytes | memoryview
    size: int
    crc: int
    shift: int


def deflated(plain: bytes) -> Deflated:
    """Compress one part."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    blocks = compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return Deflated(
        blocks=blocks, size=len(plain), crc=zlib.crc32(plain), shift=shift_of(len(plain))
    )


@dataclass(frozen=True, slots=True, eq=False)
class DeflatedText:
    """A text that was compressed in segments, so that a range left out costs one segment.

    ``ends`` are the plain ends of the segments. ``before`` and ``behind`` have, for each segment,
    what stands before it and what stands behind it.
    """

    plain: bytes
    ends: tuple[int, ...]
    before: tuple[Deflated, ...]
    behind: tuple[Deflated, ...]

    def parts(self, cut: tuple[int, int] | None) -> tuple[Deflated | bytes, ...]:
        """The text without its bytes from ``cut[0]`` to ``cut[1]``."""
        if cut is None:
            return (self.before[-1],)
        start, end = cut
        first, last = bisect_right(self.ends, start), bisect_left(self.ends, end)
        opened = self.ends[first - 1] if first else 0
        own = self.plain[opened:start] + self.plain[end : self.ends[last]]
        return (self.before[first], own, self.behind[last])


def deflated_text(plain: bytes, ends: Sequence[int], parts: Sequence[Deflated]) -> DeflatedText:
    """``parts`` are the segments of ``plain``, compressed; ``ends`` are their plain ends."""
    blocks = memoryview(b"".join(part.blocks for part in parts))
    offsets = [0, *accumulate(len(part.blocks) for part in parts)]
    before, crc = [_EMPTY], 0
    for part, start, end, offset in zip(parts, (0, *ends), ends, offsets[1:], strict=False):
        crc = zlib.crc32(memoryview(plain)[start:end], crc)
        shift = _product(before[-1].shift, part.shift)
        before.append(Deflated(blocks=blocks[:offset], size=end, crc=crc, shift=shift))
    behind = [_EMPTY]
    for part, offset in zip(reversed(parts), reversed(offsets[:-1]), strict=True):
        last = behind[-1]
        size, shift = part.size + last.size, _product(part.shift, last.shift)
        behind.append(
            Deflated(
                blocks=blocks[offset:],
                size=size,
                crc=_product(part.crc, last.shift) ^ last.crc,
                shift=shift,
            )
        )
    behind.reverse()
    return DeflatedText(
        plain=plain, ends=tuple(ends), before=tuple(before), behind=tuple(behind[1:])
    )


def gzip_member(parts: Iterable[Deflated | bytes]) -> Pieces:
    """The parts as gzip, without a copy. Plain bytes are stored as they are."""
    written: list[bytes | memoryview] = [_HEADER]
    size = crc = 0
    for part in parts:
        if isinstance(part, Deflated):
            written.append(part.blocks)
            size += part.size
            crc = _product(crc, part.shift) ^ part.crc
            continue
        for start in range(0, len(part), _STORED_MAX):
            piece = part[start : start + _STORED_MAX]
            written += (struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF), piece)
        size += len(part)
        crc = zlib.crc32(part, crc)
    written += (_LAST_BLOCK, struct.pack("<II", crc, size & 0xFFFFFFFF))
    return Pieces(tuple(written))


_EMPTY = Deflated(blocks=b"", size=0, crc=0, shift=_ONE)


def _product(a: int, b: int) -> int:
    """a * b * x^32 modulo the CRC's polynomial: a CRC times a shift, or a shift of two sizes.

    With a byte for each bit no sum of an ordinary product carries into the next one, and the sums'
    parities are the product without carries. zlib's remainder of it is multiplied by x^32, so
    shifts are kept divided by that. Bits are reversed, as in every CRC-32: the highest is x^0.
    """
    sums = _spread(a) * _spread(b)
    bits = int(sums.to_bytes(64).translate(_PARITIES), 2) << 1
    return zlib.crc32(bits.to_bytes(8, "little"), _MASK) ^ _MASK


def _spread(number: int) -> int:
    return int.from_bytes(f"{number:032b}".encode()) & _BITS


def shift_of(size: int) -> int:
    """x^(8 * size - 32) modulo the CRC's polynomial: what so many zeros behind it make of _ONE."""
    return zlib.crc32(bytes(size), _ONE ^ _MASK) ^ _MASK
