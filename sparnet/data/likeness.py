"""Near-duplicates: pictures that are one picture to the eye, whatever their bytes.

A perceptual hash holds the signs of a picture's low frequencies, 256 bits of them; re-encoding,
resizing and small retouches turn over few. A second hash, of the mirror image, finds flips.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sparnet.images import Picture

Hashes = NDArray[np.uint8]
"""(n, 32): n hashes of 256 bits."""

_HASH_SIDE = 16
_COMPARED_AT_ONCE = 2_000_000


def perceptual_hashes(square: Picture) -> tuple[str, str]:
    """The hashes of a square uint8 HxWx3 picture and of its mirror image, 64 hex digits each."""
    import imagehash  # here, as its transforms take a moment to load

    image = Image.fromarray(square)
    return (
        str(imagehash.phash(image, _HASH_SIDE)),
        str(imagehash.phash(ImageOps.mirror(image), _HASH_SIDE)),
    )


def unpacked(texts: Iterable[str]) -> Hashes:
    """Hashes written as hex digits, as an array (n, 32)."""
    data = b"".join(bytes.fromhex(text) for text in texts)
    return np.frombuffer(data, np.uint8).reshape(-1, _HASH_SIDE**2 // 8)


def near_pairs(hashes: Hashes, mirrored: Hashes, limit: int) -> list[tuple[int, int, int]]:
    """Every pair (i, j, bits), i < j, whose hashes differ in at most `limit` bits.

    hashes, mirrored: (n, 32), of each picture and of its mirror image; a picture may be like
    another or like its mirror image. Time grows with n squared, at 10^8 comparisons a second;
    memory with n.
    """
    words, turned = (np.ascontiguousarray(each).view(np.uint64) for each in (hashes, mirrored))
    step = max(1, _COMPARED_AT_ONCE // max(1, len(words)))
    pairs: list[tuple[int, int, int]] = []
    for start in range(0, len(words), step):
        rows = words[start : start + step]
        bits = np.minimum(_distances(rows, words[start:]), _distances(rows, turned[start:]))
        first, second = np.nonzero(bits <= limit)
        later = second > first
        first, second = first[later], second[later]
        found = zip(first + start, second + start, bits[first, second], strict=True)
        pairs += [(int(i), int(j), int(distance)) for i, j, distance in found]
    return pairs


def linked(pairs: Iterable[tuple[int, int]], count: int) -> NDArray[np.int32]:
    """A label for each of `count` things; the same for those that pairs link, however far."""
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    links = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _distances(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Bits that differ, (len(a), len(b)); summed word by word to keep memory low."""
    total = np.zeros((len(a), len(b)), np.uint16)
    for word in range(a.shape[1]):
        total += np.bitwise_count(a[:, word, None] ^ b[None, :, word])
    return total
