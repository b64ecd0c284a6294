"""The profile of the data that a registered model was trained on, kept with its version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sparnet.data.validation import profile
from sparnet.data.validation.profile import Profile
from sparnet.tracking import Registry, Version

_FOLDER, NAME = "data", "profile.json"


@dataclass(frozen=True)
class Reference:
    """A profile, and the champions that were trained on such data."""

    champions: tuple[Version, ...]
    profile: Profile

    @property
    def name(self) -> str:
        return ", ".join(f"{version.name} {version.version}" for version in self.champions)


def keep(registry: Registry, version: Version, path: Path) -> None:
    """Keep the profile in the file `path`, named NAME, with the version."""
    registry.attach(version, path, _FOLDER)


def of_version(registry: Registry, version: Version) -> Profile | None:
    """None where it was registered without one, or with one that cannot be read."""
    text = registry.attached(version, f"{_FOLDER}/{NAME}")
    return None if text is None else profile.parse(text)


def of_champions(registry: Registry, models: Iterable[str]) -> list[Reference]:
    """The champions' profiles, equal ones once; UserError where the store cannot be asked."""
    trained_on: dict[str, list[Version]] = {}
    for champion in filter(None, map(registry.champion, models)):
        if known := of_version(registry, champion):
            trained_on.setdefault(known.model_dump_json(), []).append(champion)
    return [
        Reference(tuple(champions), Profile.model_validate_json(text))
        for text, champions in trained_on.items()
    ]
