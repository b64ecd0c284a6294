from __future__ import annotations

import pickle
from collections import Counter
from itertools import islice, permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparnet import images
from sparnet.config import Augment
from sparnet.data import degradation, manifest
from sparnet.data.degradation import Record
from sparnet.data.keyed import generator
from sparnet.data.pairing import PAIRS
from sparnet.data.pairs import EpochSampler, PairDataset, augmented, fixed_pairs, loader
from sparnet.data.shards import ShardReader
from sparnet.errors import UserError

PLAIN = Augment(flip=0.0, scale=1.0)
STRONG = Augment(flip=0.5, scale=1.3)


@pytest.fixture
def dataset(pairs, prepared):
    def build(model="sparnethd", augment=STRONG, seed=5):
        return PairDataset(pairs, prepared, model, "train", augment, seed)

    return build


def same(first, second) -> bool:
    return (
        torch.equal(first["lr"], second["lr"])
        and torch.equal(first["hr"], second["hr"])
        and first["id"] == second["id"]
    )


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 5))
def test_every_epoch_takes_every_picture_once(length, batch_size, seed):
    keys = list(islice(EpochSampler(length, batch_size, seed), 3 * length))
    for epoch in range(3):
        of_epoch = keys[epoch * length : (epoch + 1) * length]
        assert Counter(of_epoch) == Counter((index, epoch) for index in range(length))


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 20))
def test_a_resumed_order_goes_on_where_it_was(length, batch_size, start_step):
    whole = islice(EpochSampler(length, batch_size, 1), batch_size * (start_step + 4))
    resumed = islice(EpochSampler(length, batch_size, 1, start_step), batch_size * 4)
    assert list(whole)[batch_size * start_step :] == list(resumed)


@given(st.integers(1, 30), st.integers(1, 4), st.integers(1, 3))
def test_the_processes_share_each_step(length, batch_size, world_size):
    whole = list(
        islice(EpochSampler(length, batch_size * world_size, 2), 5 * batch_size * world_size)
    )
    parts = [
        list(islice(EpochSampler(length, batch_size, 2, 0, rank, world_size), 5 * batch_size))
        for rank in range(world_size)
    ]
    steps = [
        parts[rank][s * batch_size : (s + 1) * batch_size]
        for s in range(5)
        for rank in range(world_size)
    ]
    assert [key for step in steps for key in step] == whole


def test_epochs_and_seeds_differ_in_order():
    keys = list(islice(EpochSampler(50, 10, 0), 100))
    other = list(islice(EpochSampler(50, 10, 1), 50))
    assert [index for index, _ in keys[:50]] != [index for index, _ in keys[50:]]
    assert keys[:50] != other


def test_steps_cover_the_epochs():
    assert EpochSampler(10, 4, 0).steps(2) == 5
    assert EpochSampler(10, 4, 0).steps(1) == 3
    assert EpochSampler(10, 4, 0, 0, 1, 2).steps(2) == 3


@pytest.mark.parametrize("arguments", [(0, 4, 0), (5, 0, 0), (5, 4, 0, -1), (5, 4, 0, 0, 2, 2)])
def test_an_impossible_order_is_refused(arguments):
    with pytest.raises(ValueError, match="must be positive"):
        EpochSampler(*arguments)


def test_a_sample_holds_the_replayed_record_of_its_epochs_variant(dataset, pairs, prepared):
    table = manifest.read(pairs / manifest.NAME, PAIRS)
    plain = dataset(augment=PLAIN)
    for epoch in range(4):
        sample = plain[2, epoch]
        assert sample["variant"] == epoch % 3
        chosen = (table["model"] == "sparnethd") & (table["id"] == sample["id"])
        row = table[chosen & (table["variant"] == sample["variant"])].iloc[0]
        record = Record.from_json(row["record"])
        hr = images.read(ShardReader(prepared).read(row["hr_shard"], row["hr_member"]))
        assert torch.equal(sample["hr"], images.to_tensor(degradation.target(hr, record))[0])
        assert torch.equal(sample["lr"], images.to_tensor(degradation.apply(hr, record))[0])


def test_a_sample_has_the_networks_shape_and_range(dataset):
    sample = dataset("sparnet")[0, 0]
    for tensor in (sample["lr"], sample["hr"]):
        assert tensor.shape == (3, 64, 64)
        assert tensor.dtype == torch.float32
        assert -1 <= tensor.min() < tensor.max() <= 1


def test_a_sample_depends_on_its_key_alone(dataset):
    first, second = dataset(), pickle.loads(pickle.dumps(dataset()))
    ordered = [first[index, 1] for index in range(len(first))]
    for index in reversed(range(len(first))):
        assert same(second[index, 1], ordered[index])


def test_epochs_and_seeds_augment_differently(dataset):
    hrs = [dataset("sparnet", seed=seed)[0, epoch]["hr"] for seed in (5, 6) for epoch in (0, 3)]
    assert not any(torch.equal(hrs[0], hr) for hr in hrs[1:])


def test_a_flip_is_a_mirror_image(face):
    image = images.resize(face, (64, 48))
    mirrored = augmented(image, Augment(flip=1.0), generator("flip"))
    assert np.array_equal(mirrored, image[:, ::-1])
    assert np.array_equal(augmented(image, PLAIN, generator("flip")), image)


def test_a_scaled_crop_is_cut_from_the_whole_enlarged_picture(face):
    """No distortion: some crop of the picture, enlarged alike in both directions, is the result."""
    image = images.resize(face, (64, 48))
    random = generator("crop", 1)
    _, factor, right, down = generator("crop", 1).random(4)
    scale = 1 + 0.3 * factor
    width, height = round(64 * scale), round(48 * scale)
    large = images.resize(image, (width, height))
    left, top = int(right * (width - 63)), int(down * (height - 47))
    result = augmented(image, Augment(flip=0.0, scale=1.3), random)
    assert result.shape == image.shape
    assert np.array_equal(result, large[top : top + 48, left : left + 64])


def test_the_published_distortion_enlarges_both_sides_differently(face):
    image = images.resize(face, (64, 48))
    _, factor, right, down, other = generator("crop", 1).random(5)
    width, height = round(64 * (1 + 0.3 * factor)), round(48 * (1 + 0.3 * other))
    large = images.resize(image, (width, height))
    left, top = int(right * (width - 63)), int(down * (height - 47))
    result = augmented(image, Augment(flip=0.0, scale=1.3, distort=True), generator("crop", 1))
    assert width / height != pytest.approx(64 / 48, rel=0.01)
    assert np.array_equal(result, large[top : top + 48, left : left + 64])


def test_colours_change_places_and_nothing_else(face):
    image = images.resize(face, (64, 48))
    colours = Augment(flip=0.0, colours=1.0)
    seen = {augmented(image, colours, generator("colours", seed)).tobytes() for seed in range(60)}
    orders = permutations(range(3))
    assert seen == {np.ascontiguousarray(image[..., order]).tobytes() for order in orders}


@pytest.mark.parametrize("model", ["sparnet", "sparnethd"])
def test_a_pair_turns_grey_on_both_sides(model, dataset):
    sample = dataset(model, augment=Augment(grey=1.0))[0, 0]
    coloured = dataset(model, augment=PLAIN)[0, 0]
    for side in ("lr", "hr"):
        red, green, blue = sample[side]
        assert torch.equal(red, green)
        assert torch.equal(green, blue)
        assert not torch.equal(coloured[side][0], coloured[side][2])


def test_scaled_crops_reach_every_border():
    image = np.zeros((16, 16, 3), np.uint8)
    image[0], image[-1] = 255, 255
    touched = {
        (bool(crop[0].min() > 100), bool(crop[-1].min() > 100))
        for crop in (augmented(image, Augment(scale=2.0), generator(seed)) for seed in range(200))
    }
    assert {(True, False), (False, True), (False, False)} <= touched


def test_any_number_of_workers_gives_the_same_batches(dataset):
    def batches(workers: int, start: int, number: int):
        sampler = EpochSampler(len(dataset()), 3, 5, start)
        return list(islice(loader(dataset(), sampler, workers), number))

    alone = batches(0, 0, 6)
    assert all(same(*both) for both in zip(alone, batches(2, 0, 6), strict=True))
    assert all(same(*both) for both in zip(alone[4:], batches(1, 4, 2), strict=True))
    assert alone[0]["lr"].shape == (3, 3, 64, 64)
    assert len(alone[0]["id"]) == 3


def test_batches_leave_torchs_global_generator_alone(dataset):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    next(iter(loader(dataset(), EpochSampler(7, 2, 0), 0)))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_fixed_pairs_are_the_stored_ones_in_order(pairs, prepared):
    table = manifest.read(pairs / manifest.NAME, PAIRS)
    fixed = fixed_pairs(pairs, prepared, "sparnethd", "test")
    assert [pair.id for pair in fixed] == ["test0", "test1", "test2"]
    for pair in fixed:
        row = table[(table["model"] == "sparnethd") & (table["id"] == pair.id)].iloc[0]
        assert pair.lr.shape[:2] == (row["lr_height"], row["lr_width"])
        assert pair.bicubic.shape == pair.hr.shape == (64, 64, 3)
        psnr = images.psnr(pair.bicubic, pair.hr)
        assert psnr == pytest.approx(row["bicubic_psnr"], abs=1e-4)


def test_fixed_pairs_can_be_cut_and_indexed(pairs, prepared):
    fixed = fixed_pairs(pairs, prepared, "sparnet", "val")
    assert len(fixed) == 3
    assert [pair.id for pair in fixed[1:]] == ["val1", "val2"]
    assert fixed[-1].id == "val2"
    with pytest.raises(IndexError):
        fixed[3]


def test_a_limit_takes_the_same_pictures_each_time(pairs, prepared):
    two = [pair.id for pair in fixed_pairs(pairs, prepared, "sparnet", "val", limit=2)]
    three = [pair.id for pair in fixed_pairs(pairs, prepared, "sparnet", "val", limit=9)]
    assert two == sorted(two)
    assert set(two) < set(three)
    assert len(three) == 3


def test_a_training_split_has_no_fixed_pairs(pairs, prepared):
    with pytest.raises(UserError, match="stores no low-resolution pictures of 'train'"):
        fixed_pairs(pairs, prepared, "sparnet", "train")


def test_a_split_without_pairs_is_named(pairs, prepared):
    with pytest.raises(UserError, match="holds no pairs of sparnet in split 'holdout'"):
        PairDataset(pairs, prepared, "sparnet", "holdout", PLAIN, 0)
