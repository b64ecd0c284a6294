"""`python -m serving.gateway SETTINGS`: started by the supervisor, with a file of settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from serving import documents
from serving.gateway import logs, server
from serving.gateway.settings import Settings
from sparnet.errors import exits_on_user_error


@exits_on_user_error
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.gateway", description=__doc__)
    parser.add_argument("settings", type=Path, help="JSON file")
    arguments = parser.parse_args(argv)
    loaded = documents.load(arguments.settings, Settings)
    logs.configure(loaded.log)
    return 0 if server.run(loaded) else 1


if __name__ == "__main__":
    sys.exit(main())
