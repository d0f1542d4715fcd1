"""What people are told that an evaluation is just doing, by its phase."""

from __future__ import annotations

from collections.abc import Mapping

PHASES: Mapping[str, str] = {
    "claim": "a worker asks for it",
    "download": "downloading the model",
    "start": "starting the sandbox",
    "load": "loading the weights",
    "prepare": "preparing the questions",
    "evaluate": "answering questions",
    "score": "scoring",
    "publish": "publishing",
}
