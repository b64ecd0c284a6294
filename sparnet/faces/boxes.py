"""Boxes in a picture: left, top, right, bottom, right and bottom exclusive."""

from __future__ import annotations

from sparnet.faces.alignment import Box


def area(box: Box) -> float:
    """In square pixels; 0 where right is left of left, or bottom above top."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def shared_area(a: Box, b: Box) -> float:
    """What both boxes cover, in square pixels."""
    return area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def shared(a: Box, b: Box) -> float:
    """The area that both boxes cover, as a part of what either covers."""
    both = shared_area(a, b)
    return both / (area(a) + area(b) - both)
