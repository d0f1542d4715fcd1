"""The generated datasets of the suites that ship with Steward, by the repo of the real one."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.suites import instructions, open_llm_v1, open_llm_v2
from benchmarks.suites.rows import Maker, Splits
from leaderboard.suites import find_suite

MAKERS: dict[str, Maker] = {
    "SaylorTwift/bbh": open_llm_v2.bbh,
    "wis-k/instruction-following-eval": instructions.ifeval,
    "DigitalLearningGmbH/MATH-lighteval": open_llm_v2.math,
    "Idavidrein/gpqa": open_llm_v2.gpqa,
    "TAUR-Lab/MuSR": open_llm_v2.musr,
    "TIGER-Lab/MMLU-Pro": open_llm_v2.mmlu_pro,
    "allenai/ai2_arc": open_llm_v1.arc,
    "Rowan/hellaswag": open_llm_v1.hellaswag,
    "cais/mmlu": open_llm_v1.mmlu,
    "truthfulqa/truthful_qa": open_llm_v1.truthfulqa,
    "allenai/winogrande": open_llm_v1.winogrande,
    "openai/gsm8k": open_llm_v1.gsm8k,
}
"""Dataset repo → the function that makes its rows."""
GATED = ("Idavidrein/gpqa",)


def datasets_of(suite: str, count: int | None) -> Iterable[tuple[str, Splits]]:
    """The datasets of a suite that ships with Steward: repo and rows, with `count` questions in each task."""
    return ((source.repo, MAKERS[source.repo](count)) for source in find_suite(suite).datasets)
