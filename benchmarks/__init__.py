"""Measurements: each `python -m benchmarks.NAME` prints a table, and with --json one JSON object as its last line."""

import os

# localhub has no Xet storage. huggingface_hub reads these when it is imported, so they come before any other import.
os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
