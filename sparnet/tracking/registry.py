"""The registry of models: versions without pickle, and which one is the champion."""

from __future__ import annotations

import importlib.metadata
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sparnet
from sparnet.errors import UserError
from sparnet.tracking import store
from sparnet.tracking.runs import WEIGHTS_TAG

CHAMPION, CHALLENGER = "champion", "challenger"
_ABOUT_MODELS = (
    "A column `image` of encoded pictures in, PNGs of restored faces out. The version "
    f"`{CHAMPION}` was the best on the test pictures, or a person's choice; `{CHALLENGER}` is the "
    "newest candidate. What is served is what was deployed, not what has a name here."
)
_NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""How MLflow answers for a model, and for an alias, that it does not have."""
_ROLLED_BACK_TAG = "rolled_back_at"
_MODEL_REQUIREMENTS = ("numpy", "pandas", "pillow", "pydantic", "safetensors", "torch")


@dataclass(frozen=True)
class Version:
    """One version of a registered model; `tags` hold the weights' sha256, among others."""

    name: str
    version: int
    run_id: str
    tags: dict[str, str]

    @property
    def rolled_back_at(self) -> str | None:
        """When a person took it back as champion, in ISO 8601; None where that did not last."""
        return self.tags.get(_ROLLED_BACK_TAG)


class Registry:
    """Versions of the registered models of one store; which one is the champion is an alias."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        with store.reaching(uri):
            self._client = store.client(uri)

    def register(
        self, run_id: str, name: str, weights: Path, sha256: str, code: Path, about: str = ""
    ) -> Version:
        """The version of model `name` with these weights, made under the run if there is none.

        The model is a script, `code`, which reads the artifact "weights"; nothing is pickled.
        `about` describes a new version to people.
        """
        for known in self.versions(name):
            if known.tags.get(WEIGHTS_TAG) == sha256:
                return known
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        with (
            store.reaching(self.uri),
            mlflow.start_run(run_id=run_id),
            warnings.catch_warnings(),
        ):
            # An example would be restored at once, which takes a large network long; the signature
            # says what goes in.
            warnings.filterwarnings("ignore", ".*An input example was not provided", UserWarning)
            info = mlflow.pyfunc.log_model(
                name=name,
                python_model=str(code),
                artifacts={"weights": str(weights)},
                code_paths=[str(Path(sparnet.__file__).parent)],
                pip_requirements=[_pinned(package) for package in _MODEL_REQUIREMENTS],
                signature=_signature(),
                registered_model_name=name,
            )
            version = str(info.registered_model_version)
            self._client.set_model_version_tag(name, version, WEIGHTS_TAG, sha256)
            self._client.update_model_version(name, version, about)
            self._client.update_registered_model(name, _ABOUT_MODELS)
        return self._version(self._client.get_model_version(name, version))

    def versions(self, name: str) -> list[Version]:
        """All versions of the model, the oldest first."""
        found = self._client.search_model_versions(f"name = '{name}'", max_results=1000)
        return sorted(map(self._version, found), key=lambda version: version.version)

    def champion(self, name: str) -> Version | None:
        """The version that was the best, or that a person chose; what is served may differ."""
        return self.by_alias(name, CHAMPION)

    def by_alias(self, name: str, alias: str) -> Version | None:
        """The version with this alias, or None; UserError where the store cannot be asked."""
        from mlflow.exceptions import MlflowException

        with store.reaching(self.uri):
            try:
                return self._version(self._client.get_model_version_by_alias(name, alias))
            except MlflowException as error:
                if error.error_code in _NOT_THERE:
                    return None
                raise

    def challenge(self, name: str, version: int) -> None:
        """Make a version the challenger: the newest candidate, also once it is promoted."""
        self._client.set_registered_model_alias(name, CHALLENGER, str(version))

    def promote(self, name: str, version: int) -> None:
        """Make a version the champion; it remembers when, and whom it replaced.

        That it was rolled back once is forgotten.
        """
        before = self.champion(name)
        if before is not None and before.version == version:
            return
        replaced = str(before.version) if before else "none"
        self._tag(name, version, {"promoted_at": _now(), "replaced": replaced})
        if self._version(self._client.get_model_version(name, str(version))).rolled_back_at:
            self._client.delete_model_version_tag(name, str(version), _ROLLED_BACK_TAG)
        self._client.set_registered_model_alias(name, CHAMPION, str(version))

    def roll_back(self, name: str) -> Version:
        """Make the version that the champion replaced champion again.

        It keeps its own `replaced`, so that a further call goes further back. Raises UserError
        where there is none.
        """
        champion = self.champion(name)
        replaced = champion.tags.get("replaced", "none") if champion else "none"
        if champion is None or replaced == "none":
            raise UserError(f"model {name}: no earlier champion to go back to")
        self._tag(name, champion.version, {_ROLLED_BACK_TAG: _now()})
        self._tag(name, int(replaced), {"promoted_at": _now()})
        self._client.set_registered_model_alias(name, CHAMPION, replaced)
        return self._version(self._client.get_model_version(name, replaced))

    def download_weights(self, version: Version, folder: Path) -> Path:
        """Fetch the version's safetensors file into `folder`."""
        import mlflow

        source = f"models:/{version.name}/{version.version}"
        with store.reaching(self.uri):
            fetched = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/artifacts", dst_path=str(folder), tracking_uri=self.uri
            )
        return next(Path(fetched).glob("*.safetensors"))

    def attach(self, version: Version, file: Path, folder: str) -> None:
        """Put a copy of `file` beside what the version's run holds, in `folder` there."""
        with store.reaching(self.uri):
            self._client.log_artifact(version.run_id, str(file), folder)

    def attached(self, version: Version, path: str) -> str | None:
        """The text of the attached `folder/file`, None where the version has none."""
        import mlflow

        with store.reaching(self.uri):
            listed = self._client.list_artifacts(version.run_id, str(Path(path).parent))
            if path not in {item.path for item in listed}:
                return None
            with tempfile.TemporaryDirectory() as folder:
                return Path(
                    mlflow.artifacts.download_artifacts(
                        run_id=version.run_id,
                        artifact_path=path,
                        dst_path=folder,
                        tracking_uri=self.uri,
                    )
                ).read_text()

    def _tag(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._client.set_model_version_tag(name, str(version), key, value)

    @staticmethod
    def _version(entity: Any) -> Version:
        return Version(entity.name, int(entity.version), entity.run_id, dict(entity.tags))


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    picture = Schema([ColSpec(DataType.binary, "image")])
    return ModelSignature(inputs=picture, outputs=picture)


def _pinned(package: str) -> str:
    # A local version like 2.13.0+cpu names a build that other machines may not have.
    return f"{package}=={importlib.metadata.version(package).split('+')[0]}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
