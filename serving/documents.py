"""JSON files that one process of the server writes for another."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from sparnet.errors import UserError, first_mistake

Document = TypeVar("Document", bound=BaseModel)


def load(path: Path, kind: type[Document]) -> Document:
    """Raises UserError, with the first mistake, where the file is missing or wrong."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValidationError as error:
        raise UserError(f"{path}: {first_mistake(error.errors())}") from None
