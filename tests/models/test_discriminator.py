from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import torch
from small_networks import picture

from sparnet.errors import UserError
from sparnet.models import checkpoint
from sparnet.models.configs import DiscriminatorConfig
from sparnet.models.discriminator import MultiScaleDiscriminator
from sparnet.models.network import InputError


@pytest.fixture
def network() -> MultiScaleDiscriminator:
    torch.manual_seed(0)
    return MultiScaleDiscriminator(base_channels=4, layers=2, scales=2).eval()


class Scores(torch.nn.Module):
    """The scores alone: tracing takes no lists within lists."""

    def __init__(self, network: MultiScaleDiscriminator) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(score for score, _ in self.network(x))


def scores(network: torch.nn.Module) -> list[torch.Tensor]:
    return [score for score, _ in network(picture())]


def test_the_published_discriminator_has_its_size_and_score_maps() -> None:
    network = MultiScaleDiscriminator.unfilled(DiscriminatorConfig())
    assert sum(weight.numel() for weight in network.parameters()) == 11_750_403
    judgements = network(torch.zeros(1, 3, 512, 512, device="meta"))
    assert [score.shape[-1] for score, _ in judgements] == [30, 14, 6]
    assert [map_.shape[1] for map_ in judgements[0][1]] == [64, 128, 256, 512, 512]


def test_every_scale_judges_half_of_the_one_before(network: MultiScaleDiscriminator) -> None:
    judgements = network(picture())
    assert [tuple(score.shape) for score, _ in judgements] == [(2, 1, 6, 6), (2, 1, 2, 2)]
    assert [map_.shape[-1] for map_ in judgements[1][1]] == [16, 8, 4]


def test_gradients_reach_every_weight_and_the_picture(network: MultiScaleDiscriminator) -> None:
    x = picture().requires_grad_()
    sum(score.mean() for score, _ in network.train()(x)).backward()
    assert x.grad is not None
    assert all(weight.grad is not None for weight in network.parameters())


def test_copies_and_files_give_the_same_scores(
    network: MultiScaleDiscriminator, tmp_path: Path
) -> None:
    checkpoint.save(network, tmp_path / "d.safetensors")
    for again in (
        copy.deepcopy(network),
        pickle.loads(pickle.dumps(network)),
        checkpoint.load(tmp_path / "d.safetensors"),
    ):
        assert again.config == network.config
        assert all(map(torch.equal, scores(again), scores(network)))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_exported_and_traced_networks_give_the_same_scores(
    network: MultiScaleDiscriminator,
) -> None:
    with torch.no_grad():
        exported = torch.export.export(network, (picture(),)).module()
        traced = torch.jit.trace(Scores(network), picture())
        torch.testing.assert_close(scores(exported), scores(network))
        torch.testing.assert_close(list(traced(picture())), scores(network))


def test_the_least_side_is_the_least_that_works(network: MultiScaleDiscriminator) -> None:
    least = network.least_side
    assert network(picture(least))[-1][0].shape[-1] == 1
    with pytest.raises(InputError, match=f"the least side of this network is {least}"):
        network(picture(least - 1))


@pytest.mark.parametrize(
    ("field", "value"), [("norm", "layer"), ("scales", 0), ("layers", 2.0), ("depth", 3)]
)
def test_impossible_fields_are_refused(field: str, value: object) -> None:
    with pytest.raises(UserError, match=field):
        MultiScaleDiscriminator(**{field: value})
