"""Whether tests run in full (`make chaos`) or in the sizes of `make test`."""

from __future__ import annotations

import os

WHOLE = bool(os.environ.get("STEWARD_WHOLE_MATRIX"))
