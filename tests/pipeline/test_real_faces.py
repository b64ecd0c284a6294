from __future__ import annotations

import json

import pandas as pd
import pytest

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
                    "limit": 200,
                    "licence": "see the folder's README",
                },
            },
            "validate": {"max_grey_share": 1.0},
        }
    )
    project.run("dvc", "repro")
    faces = pd.read_parquet(project.folder / "data/prepared/manifest.parquet")
    assert 150 <= len(faces) <= 200
    assert faces.groupby("person")["split"].nunique().max() == 1
    assert not faces["person"].str.startswith("sha256:").any()
    metrics = json.loads((project.folder / "reports/metrics.json").read_text())
    assert metrics["bicubic"]["test/pictures"] == (faces["split"] == "test").sum()
    assert (project.folder / "build/sparnet.mar").is_file()
