from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sparnet.errors import UserError
from sparnet.training import embedding


def test_an_identity_network_is_read_and_frozen(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 5))
    path = tmp_path / "identity.pt"
    torch.jit.trace(network, torch.zeros(1, 3, 4, 4)).save(path)
    loaded = embedding.load(path)
    picture = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(loaded(picture), network(picture))
    assert not any(weight.requires_grad for weight in loaded.parameters())


@pytest.mark.parametrize(("content", "line"), [(None, "no such file"), (b"x", "not a TorchScript")])
def test_a_bad_identity_network_is_one_line(
    content: bytes | None, line: str, tmp_path: Path
) -> None:
    path = tmp_path / "identity.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=line):
        embedding.load(path)
