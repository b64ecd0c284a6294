from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparnet import config, images
from sparnet.config import Sizes
from sparnet.data import degradation, manifest
from sparnet.data.degradation import Record
from sparnet.data.pairing import PAIRS, write_pairs
from sparnet.data.shards import ShardReader
from sparnet.errors import UserError
from sparnet.stages import degrade

ROOT = Path(__file__).resolve().parents[2]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def table(pairs) -> pd.DataFrame:
    return manifest.read(pairs / manifest.NAME, PAIRS)


def test_training_pictures_have_all_variants_and_held_out_ones_the_first(table):
    counts = table.groupby(["model", "split"]).size().to_dict()
    assert counts == {
        ("sparnet", "train"): 7,
        ("sparnet", "val"): 3,
        ("sparnet", "test"): 3,
        ("sparnethd", "train"): 21,
        ("sparnethd", "val"): 3,
        ("sparnethd", "test"): 3,
    }
    assert (table.loc[table["split"] != "train", "variant"] == 0).all()


def test_low_resolution_pictures_are_stored_for_held_out_splits_only(table, pairs):
    assert (table["lr_member"].isna() == (table["split"] == "train")).all()
    assert not list(pairs.glob("*train*"))
    assert len(list(pairs.glob("sparnet-val-*.zip"))) == 2


def test_a_row_tells_how_to_make_its_picture_again(table, pairs, prepared):
    for row in table[table["split"] != "train"].itertuples():
        record = Record.from_json(row.record)
        assert record == degradation.draw(row.preset, 3, row.id, row.variant)
        hr = images.read(ShardReader(prepared).read(row.hr_shard, row.hr_member))
        lr = images.read(ShardReader(pairs).read(row.lr_shard, row.lr_member))
        assert np.array_equal(lr, degradation.low(hr, record))


def test_the_facts_are_those_of_the_pictures(table, prepared):
    row = table[table["model"] == "sparnethd"].iloc[4]
    record = Record.from_json(row["record"])
    hr = images.read(ShardReader(prepared).read(row["hr_shard"], row["hr_member"]))
    lr = degradation.low(hr, record)
    assert (row["lr_height"], row["lr_width"]) == lr.shape[:2]
    assert row["lr_mean"] == pytest.approx(lr.mean(), abs=1e-4)
    assert row["lr_std"] == pytest.approx(lr.std(), abs=1e-4)
    assert row["lr_sharpness"] == pytest.approx(images.sharpness(lr), abs=1e-4)
    expected = images.psnr(degradation.apply(hr, record), degradation.target(hr, record))
    assert row["bicubic_psnr"] == pytest.approx(expected, abs=1e-4)


def test_the_columns_hold_the_records_fields(table):
    for _, row in table.iterrows():
        for name, value in Record.from_json(row["record"]).to_dict().items():
            assert pd.isna(row[name]) if value is None else row[name] == value


def test_the_number_of_workers_does_not_change_a_byte(pairs, prepared, settings, sizes, tmp_path):
    write_pairs(prepared, tmp_path / "pairs", settings, sizes, seed=3, workers=2)
    assert digests(tmp_path / "pairs") == digests(pairs)


def test_another_seed_gives_other_pairs(pairs, prepared, settings, sizes, tmp_path):
    write_pairs(prepared, tmp_path / "pairs", settings, sizes, seed=4, workers=0)
    assert digests(tmp_path / "pairs") != digests(pairs)


def test_a_size_that_was_not_prepared_is_named(prepared, settings, tmp_path):
    with pytest.raises(UserError, match=r"no pictures of side 96 \(prepare.sizes.sparnethd\)"):
        write_pairs(prepared, tmp_path / "pairs", settings, Sizes(sparnet=64, sparnethd=96), 0, 0)
    assert not (tmp_path / "pairs").exists()


def test_the_stage_writes_data_pairs(prepared, sizes, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/prepared").symlink_to(prepared)
    monkeypatch.chdir(tmp_path)
    params = config.load(ROOT / "params.yaml")
    compute = params.compute.model_copy(update={"workers": 0})
    prepare = params.prepare.model_copy(update={"sizes": sizes})
    degrade.main(params.model_copy(update={"compute": compute, "prepare": prepare}))
    assert capsys.readouterr().out == "data/pairs: 13 for sparnet, 34 for sparnethd\n"
    assert manifest.count(tmp_path / "data/pairs" / manifest.NAME) == 47
