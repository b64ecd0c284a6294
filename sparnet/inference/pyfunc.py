"""A registered model as MLflow runs it: a column `image` of encoded pictures in, PNGs out.

MLflow stores and runs this file as a script beside the weights; nothing of it is pickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from mlflow.pyfunc import PythonModel, PythonModelContext

from sparnet.images import encode_png, read, resize, to_tensor, to_uint8
from sparnet.models import checkpoint
from sparnet.models.generator import Generator


class AlignedFaces(PythonModel):
    """Restores faces that fill their pictures as those of the training did."""

    def load_context(self, context: PythonModelContext) -> None:
        network = checkpoint.load(Path(context.artifacts["weights"]))
        assert isinstance(network, Generator)
        self._network = network
        self._side = network.config.size

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """`image` holds encoded pictures (bytes); they are enlarged to the network's side first."""
        restored = [self._restored(data) for data in model_input["image"]]
        return pd.DataFrame({"image": restored})

    @torch.inference_mode()
    def _restored(self, data: bytes) -> bytes:
        enlarged = resize(read(data), (self._side, self._side))
        return encode_png(np.array(to_uint8(self._network(to_tensor(enlarged)))[0]))


mlflow.models.set_model(AlignedFaces())
