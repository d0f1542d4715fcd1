"""Simulations of whole boards: a month, an adoption, and Steward beside other backends. Each is a command."""

import os

# localhub has no Xet storage. huggingface_hub reads these when it is imported, so they come before any other import.
os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
