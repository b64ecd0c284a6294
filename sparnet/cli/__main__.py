from __future__ import annotations

import sys

from sparnet.cli import main

sys.exit(main())
