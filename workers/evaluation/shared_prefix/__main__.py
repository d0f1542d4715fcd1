"""`steward-eval`: the harness's command line with one more model (`steward-eval run --model steward-hf …`).

The same as `python -m workers.evaluation.shared_prefix`, which `accelerate launch -m` can start, too.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the harness's command line."""
    try:
        from lm_eval.__main__ import cli_evaluate
    except ModuleNotFoundError as error:
        sys.exit(f"steward-eval needs lm-eval and its libraries ({error}): install Steward's extra `worker`")
    import workers.evaluation.shared_prefix.standalone  # noqa: F401  # registers the model
    from workers.evaluation.shared_prefix.templates import compile_templates_once

    compile_templates_once()
    cli_evaluate()


if __name__ == "__main__":
    main()
