"""Complete parameter files: `quick` is the committed `params.yaml`, `paper` the published recipe,
`light` the same with the light SPARNet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel

from sparnet.config import Params
from sparnet.errors import UserError

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def text(name: str) -> str:
    """The profile's YAML; raises UserError for an unknown name."""
    if name not in names():
        raise UserError(f"no profile {name!r}; there are: {', '.join(names())}")
    return (FOLDER / f"{name}.yaml").read_text()


def documented(params: Params) -> str:
    """Parameters as YAML, each key followed by what it means."""
    return "\n".join(_lines(params, 0))


def _lines(block: BaseModel, depth: int) -> Iterator[str]:
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        head = "  " * depth + (field.alias or name)
        if isinstance(value, BaseModel):
            yield head + ":"
            yield from _lines(value, depth + 1)
        elif isinstance(value, dict):
            yield head + ":" + _comment(field.description)
            for key, entry in value.items():
                yield f"{'  ' * (depth + 1)}{key}: {_plain(entry)}"
        else:
            yield f"{head}: {_plain(value)}{_comment(field.description)}"


def _plain(value: object) -> str:
    content = value.model_dump() if isinstance(value, BaseModel) else value
    dumped = yaml.safe_dump(content, default_flow_style=True, sort_keys=False, width=1000)
    return dumped.removesuffix("...\n").strip()


def _comment(description: str | None) -> str:
    return f"   # {description}" if description else ""
