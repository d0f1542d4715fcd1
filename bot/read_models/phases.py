"""The phases of an evaluation, in words for people."""

from __future__ import annotations

from collections.abc import Mapping

PHASES: Mapping[str, str] = {
    "claim": "a worker is taking it",
    "download": "downloading the model",
    "start": "starting the sandbox",
    "load": "loading the weights",
    "prepare": "preparing the questions",
    "evaluate": "answering questions",
    "score": "scoring",
    "publish": "publishing",
}
