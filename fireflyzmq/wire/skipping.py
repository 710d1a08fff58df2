"""Skipping: where a packed object ends, without reading what it is.

It goes through arrays and maps in a loop, so that no depth is too deep for it, as it is for msgpack's own.
"""

from __future__ import annotations

from typing import Final

_FIXED: Final = {
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict.fromkeys((0xCC, 0xD0), 1),
    **dict.fromkeys((0xCD, 0xD1), 2),
    **dict.fromkeys((0xCA, 0xCE, 0xD2), 4),
    **dict.fromkeys((0xCB, 0xCF, 0xD3), 8),
    0xD4: 2,
    0xD5: 3,
    0xD6: 5,
    0xD7: 9,
    0xD8: 17,
}
"""Bytes behind the first one of what has always as many."""

_SIZED: Final = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
}
"""How many bytes say how many follow, and how many follow besides: bytes, texts and extensions."""

_COUNTED: Final = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""How many bytes say how many elements there are, and how many objects each is: arrays and maps."""


def end_of(data: bytes, at: int) -> int:
    """Where the object ends that begins at `at`; ValueError when it is cut short or none."""
    size = len(data)
    objects = 1
    while objects:
        if at >= size:
            raise ValueError("it is cut short")
        first = data[at]
        at += 1
        objects -= 1
        if first < 0x80 or first >= 0xE0:
            continue
        if first < 0xA0:
            objects += (first & 0x0F) * (2 if first < 0x90 else 1)
        elif first < 0xC0:
            at += first & 0x1F
        elif first in _FIXED:
            at += _FIXED[first]
        elif first in _SIZED:
            width, besides = _SIZED[first]
            at += width + int.from_bytes(data[at : at + width], "big") + besides
        elif first in _COUNTED:
            width, each = _COUNTED[first]
            objects += int.from_bytes(data[at : at + width], "big") * each
            at += width
        else:
            raise ValueError(f"no object begins with byte {first:#x}")
    if at > size:
        raise ValueError("it is cut short")
    return at
