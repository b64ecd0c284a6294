"""What a large photograph costs, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

GIGABYTE = 2**30

RESTORE = """
import json, pathlib, resource, sys
from sparnet.inference import Restorer, photograph

class Unchanged:
    name, size = "sparnethd", 512
    def __call__(self, batch):
        return batch

photo = photograph.read(pathlib.Path(sys.argv[1]))
restoration = Restorer(Unchanged())(photo.pixels)
data = photograph.encode(photo.showing(restoration.image), ".jpg")
kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
same = bool((restoration.image == photo.pixels).all())
print(json.dumps({"faces": len(restoration.faces), "bytes": kilobytes * 1024, "same": same}))
"""


def test_forty_megapixels_with_thirty_faces_take_less_than_four_gigabytes(
    astronaut: np.ndarray, tmp_path: Path
) -> None:
    head = Image.fromarray(astronaut[10:250, 100:340]).resize((1200, 1080))
    photo = Image.new("RGB", (7400, 5440), (120, 120, 120))
    for number in range(30):
        photo.paste(head, (1233 * (number % 6), 1088 * (number // 6)))
    photo.save(tmp_path / "large.png", compress_level=1)
    command = [sys.executable, "-c", RESTORE, str(tmp_path / "large.png")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert found["faces"] == 30
    assert found["same"]
    assert found["bytes"] < 4 * GIGABYTE
