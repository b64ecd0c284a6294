"""Archives whose content is what their manifest says, and which are broken all the same."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from serving import archive


def forged(source: Path, target: Path, members: Mapping[str, bytes]) -> Path:
    """The archive at `source` with other members, and with a manifest that agrees with them."""
    with zipfile.ZipFile(source) as stored:
        content = {name: stored.read(name) for name in stored.namelist()}
    manifest = json.loads(content.pop(archive.MANIFEST))
    content |= members
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    digest = archive.digest(hashes)
    manifest["contentSha256"] = digest
    manifest["model"]["modelVersion"] = digest[: archive.VERSION_LENGTH]
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as written:
        for name, data in {**content, archive.MANIFEST: json.dumps(manifest).encode()}.items():
            written.writestr(name, data)
    return target
