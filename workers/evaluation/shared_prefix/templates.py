"""Lets the harness compile the templates of its tasks once instead of for each question and example."""

from __future__ import annotations

from functools import lru_cache

from lm_eval.utils import env


def compile_templates_once() -> None:
    """Keep compiled templates for the rest of this process. Texts stay the same."""
    env.from_string = lru_cache(maxsize=1_000)(env.from_string)
