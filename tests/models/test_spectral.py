from __future__ import annotations

import copy

import torch
from small_networks import SMALL, picture, small
from torch.nn.utils import parametrizations

from sparnet.models import create, spectral
from sparnet.models.discriminator import MultiScaleDiscriminator


def worst_error(module: torch.nn.Module) -> float:
    """The largest relative error of sigma against the true largest singular value."""
    errors = [
        abs(float(sigma / torch.linalg.matrix_norm(weight.flatten(1), ord=2)) - 1)
        for weight, sigma in spectral.sigmas(module)
    ]
    return max(errors)


def test_a_fresh_network_knows_its_singular_values() -> None:
    torch.manual_seed(0)
    network = create("sparnethd", **SMALL | {"max_channels": 64, "attention_channels": 64})
    convolutions = [part for part in network.modules() if isinstance(part, torch.nn.Conv2d)]
    assert len(spectral.sigmas(network)) == len(convolutions)
    assert worst_error(network) < 0.01


def test_warming_up_repairs_singular_vectors_that_have_gone_astray() -> None:
    network = small("sparnethd")
    for name, buffer in network.named_buffers():
        if name.endswith("._u"):
            buffer.copy_(torch.nn.functional.normalize(torch.ones_like(buffer), dim=0))
    spectral.warm_up(network, iterations=0)
    assert worst_error(network) > 0.01
    spectral.warm_up(network)
    assert worst_error(network) < 0.01


def test_folding_leaves_every_output_as_it_was() -> None:
    network = small("sparnethd").eval()
    folded = spectral.fold(copy.deepcopy(network))
    assert torch.equal(folded(picture()), network(picture()))
    assert not spectral.sigmas(folded)
    assert not folded.config.spectral_norm
    assert network.config.spectral_norm


def test_folding_in_training_mode_does_not_move_the_weights() -> None:
    network = small("sparnethd").train()
    folded = spectral.fold(copy.deepcopy(network))
    assert folded.training
    assert torch.equal(folded.eval()(picture()), network.eval()(picture()))


def test_folded_weights_can_be_trained() -> None:
    folded = spectral.fold(small("sparnethd"))
    folded(picture()).sum().backward()
    assert all(weight.grad is not None for weight in folded.parameters())


def test_the_discriminator_folds_too() -> None:
    torch.manual_seed(0)
    network = MultiScaleDiscriminator(base_channels=4, layers=2, scales=2).eval()
    folded = spectral.fold(copy.deepcopy(network))
    for (score, _), (wanted, _) in zip(folded(picture()), network(picture()), strict=True):
        assert torch.equal(score, wanted)


def test_training_calls_refine_the_singular_vectors_and_others_do_not() -> None:
    network = small("sparnethd")
    spectral.warm_up(network, iterations=0)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network.eval()(picture())
    assert all(torch.equal(before[name], buffer) for name, buffer in network.named_buffers())
    with spectral.paused(network.train()):
        network(picture())
    assert all(torch.equal(before[name], buffer) for name, buffer in network.named_buffers())
    network(picture())
    assert any(not torch.equal(before[name], buffer) for name, buffer in network.named_buffers())


def test_values_gradients_and_vectors_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Conv2d(5, 7, 3))
    theirs = parametrizations.spectral_norm(copy.deepcopy(ours)[0])
    spectral.apply(ours)
    theirs.load_state_dict(ours[0].state_dict())
    for conv in (ours[0].train(), theirs.train()):
        conv(torch.ones(1, 5, 8, 8)).square().mean().backward()
    torch.testing.assert_close(dict(ours[0].state_dict()), dict(theirs.state_dict()))
    for found, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad)


def test_two_forward_passes_before_one_backward_pass_are_allowed() -> None:
    network = small("sparnethd").train()
    (network(picture()) - network(-picture())).mean().backward()


def test_half_precision_calls_keep_the_singular_vectors_in_full_precision() -> None:
    network = small("sparnethd").train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        network(picture())
    assert worst_error(network) < 0.01
    assert all(buffer.dtype == torch.float32 for buffer in network.buffers())
