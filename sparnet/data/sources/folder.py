"""The pictures below a folder, by relative path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sparnet.config import FolderSource
from sparnet.data.sources.base import Files, Selected, is_picture
from sparnet.errors import UserError


class Folder(Selected):
    """The pictures below a folder, sorted by relative path.

    Files and folders whose name begins with a dot are passed over, and so are links that lead out
    of the folder, with a line on stderr.
    """

    def __init__(self, block: FolderSource, seed: int) -> None:
        root = Path(block.path)
        if not root.is_dir():
            raise UserError(f"{block.path}: no such folder; set download.folder.path")
        files = pictures_below(root)
        if not files:
            raise UserError(f"{block.path}: no pictures in it; set download.folder.path")
        super().__init__("folder", [Files(files)], block, seed)


def pictures_below(root: Path) -> dict[str, Path]:
    """The paths of the pictures below `root`, by their relative posix path."""
    real_root = root.resolve()
    found: dict[str, Path] = {}
    outside = 0
    for folder, subfolders, names in os.walk(root, onerror=_raise_unreadable):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in filter(is_picture, names):
            path = Path(folder, name)
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                outside += 1
            elif path.is_file():
                found[path.relative_to(root).as_posix()] = path
    if outside:
        print(f"{root}: {outside} links that lead out of it passed over", file=sys.stderr)
    return found


def _raise_unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror})")
