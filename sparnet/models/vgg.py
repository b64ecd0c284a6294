"""The perceptual loss's eyes: layers of a VGG19 that was trained on ImageNet, frozen.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
ICLR 2015; the weights are the file that PyTorch distributes, which names its own SHA-256.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparnet import files
from sparnet.errors import UserError
from sparnet.models.network import InputError, check_entries

URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
FILE_NAME = "vgg19-dcbb9e9d.pth"
SHA256_HEAD = "dcbb9e9d"

LAYERS = ("relu1_2", "relu2_2", "relu3_4", "relu4_4", "conv5_4")
WIDTHS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
"""Output channels of the convolutions of each block; a block ends where a pooling follows."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
TRAINED_SIDE = 224
TIMEOUT_SECONDS = 60


class PerceptualFeatures(nn.Module):
    """N x 3 x H x W floats in [-1, 1] -> the feature maps of LAYERS, in that order.

    The last is taken before its activation. Pictures narrower than 224 are first resized to
    224x224 (bilinear). The weights are constants: nothing here is trained.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights_path: Path | str | None, *, random_weights: bool = False) -> None:
        """Read and verify the file; `random_weights` instead of one is for tests only.

        Raises UserError where the path is missing or the file is not the standard one.
        """
        super().__init__()
        self.blocks = nn.ModuleList(_blocks())
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1), persistent=False
        )
        if not random_weights:
            self._read(_verified(weights_path))
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        if x.ndim != 4 or x.shape[1] != 3:
            raise InputError(f"expected a batch N x 3 x H x W, got the shape {tuple(x.shape)}")
        x = ((x + 1) / 2 - self.mean) / self.deviation
        if x.shape[-1] < TRAINED_SIDE:
            x = F.interpolate(x, size=(TRAINED_SIDE, TRAINED_SIDE), mode="bilinear")
        features = []
        for index, block in enumerate(self.blocks):
            if index > 0:
                x = F.max_pool2d(x, kernel_size=2)
            x = block(x)
            features.append(x)
        return features

    def _read(self, path: Path) -> None:
        entries = torch.load(path, map_location="cpu", weights_only=True)
        features = {
            name: entry for name, entry in entries.items() if not name.startswith("classifier.")
        }
        published = [f"{name}.{kind}" for name in _published_names() for kind in ("weight", "bias")]
        own = self.state_dict()
        shapes = [tensor.shape for tensor in own.values()]
        check_entries(features, dict(zip(published, shapes, strict=True)), str(path))
        values = [features[name] for name in published]
        self.load_state_dict(dict(zip(own, values, strict=True)))


def fetch(cache_dir: Path | str, url: str = URL) -> Path:
    """The verified weights file in `cache_dir` (548 MB), downloaded where it is not there yet.

    Raises UserError where the download fails or gives another file; nothing is left behind then.
    """
    path = Path(cache_dir) / FILE_NAME
    if path.is_file():
        return _verified(path)
    try:
        with files.replacing(path) as temporary:
            _download(url, temporary)
            _check_digest(temporary, url)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"cannot download the VGG19 weights ({error}); fetch {url} where there is a network "
            f"and put it at {path}"
        ) from error
    return path


def _blocks() -> list[nn.Sequential]:
    """Convolutions and activations between two poolings; the last activation is left out."""
    blocks: list[list[nn.Module]] = []
    channels = 3
    for widths in WIDTHS:
        blocks.append([])
        for width in widths:
            blocks[-1] += [nn.Conv2d(channels, width, kernel_size=3, padding=1), nn.ReLU()]
            channels = width
    blocks[-1].pop()
    return [nn.Sequential(*block) for block in blocks]


def _published_names() -> list[str]:
    """`features.N` of each convolution, N counting convolutions, activations and poolings."""
    names, index = [], 0
    for widths in WIDTHS:
        for _ in widths:
            names.append(f"features.{index}")
            index += 2
        index += 1
    return names


def _verified(path: Path | str | None) -> Path:
    if path is None or not Path(path).is_file():
        raise UserError(
            f"no VGG19 weights at {path}; fetch {URL} (548 MB) and give the path of the file"
        )
    _check_digest(Path(path), str(path))
    return Path(path)


def _check_digest(path: Path, source: str) -> None:
    digest = files.sha256(path)
    if not digest.startswith(SHA256_HEAD):
        raise UserError(
            f"{source}: not the standard VGG19 weights: its SHA-256 begins with {digest[:8]}, "
            f"not {SHA256_HEAD}; fetch {URL} again"
        )


def _download(url: str, path: Path) -> None:
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response,
        path.open("wb") as stream,
    ):
        while chunk := response.read(1 << 20):
            stream.write(chunk)
