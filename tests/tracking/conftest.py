from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A real SQLite store, one for all tests here: its tables take seconds to make."""
    path: Path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    return f"sqlite:///{path}"
