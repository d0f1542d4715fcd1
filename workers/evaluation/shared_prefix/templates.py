"""Templates of the harness's tasks: compiled once instead of for each question, and kept from Python's internals."""

from __future__ import annotations

from functools import lru_cache

import lm_eval.utils
from jinja2.sandbox import SandboxedEnvironment


def compile_templates_once() -> None:
    """Keep compiled templates for the rest of this process. Texts stay the same."""
    env = lm_eval.utils.env
    env.from_string = lru_cache(maxsize=1_000)(env.from_string)


def confine_templates() -> None:
    """Have Jinja's sandbox fill in templates for the rest of this process. Texts stay the same.

    A suite file may be untrusted, and without the sandbox a template in it can call any function of Python.
    """
    env = lm_eval.utils.env
    sandbox = SandboxedEnvironment(
        loader=env.loader, undefined=env.undefined, keep_trailing_newline=env.keep_trailing_newline
    )
    sandbox.filters |= env.filters
    lm_eval.utils.env = sandbox
