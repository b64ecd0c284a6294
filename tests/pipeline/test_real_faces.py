from __future__ import annotations

import json

import pandas as pd
import pytest

from sparnet.models import checkpoint

pytestmark = pytest.mark.pipeline


def test_the_whole_graph_runs_on_real_faces_by_parameters_alone(shared, project):
    folder = shared / "faces" / "lfw_gray"
    if not folder.is_dir():
        pytest.skip("the real faces are not on this machine")
    project.change(
        {
            "download": {
                "source": "folder",
                "folder": {
                    "path": str(folder),
                    "person_pattern": r"^(?P<person>.+)_\d+$",
                    "limit": 120,
                    "licence": "see the folder's README",
                },
            },
            "prepare": {
                "faces": {"detector": "hog", "framing": {"sparnet": "box", "sparnethd": "box"}}
            },
            # Many faces of this set were enlarged from smaller ones.
            "validate": {"max_grey_share": 1.0, "photographs": {"max_enlarged_share": 0.3}},
        }
    )
    project.run("dvc", "repro")
    faces = pd.read_parquet(project.folder / "data/prepared/manifest.parquet")
    assert 100 <= len(faces) <= 120
    assert faces.groupby("person")["split"].nunique().max() == 1
    assert not faces["person"].str.startswith("sha256:").any()
    weights = checkpoint.info(project.folder / "models/sparnet/best.safetensors")
    assert weights["metadata"]["frame"] == {"kind": "box", "margin": 1.6}
    metrics = json.loads((project.folder / "reports/metrics.json").read_text())
    assert metrics["bicubic"]["test/pictures"] == (faces["split"] == "test").sum()
    assert (project.folder / "build/sparnet.mar").is_file()
