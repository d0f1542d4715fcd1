"""The harness's command line with one more model, `steward-hf`: `steward-eval run --model steward-hf --model_args …`.

It takes the arguments of `hf`, and writes into the results how log-likelihoods were computed.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lm_eval.__main__ import cli_evaluate
from lm_eval.api.registry import register_model

from workers.evaluation.shared_prefix.model import SHARED_PREFIX, SharedPrefixModel

MODEL = "steward-hf"
"""The name under which the model is registered with the harness."""


@register_model(MODEL)
class StandaloneModel(SharedPrefixModel):
    """The harness's `hf` model, with shared prefixes unless `engine` says `harness`."""

    def __init__(self, *arguments: Any, engine: str = SHARED_PREFIX, **options: Any) -> None:
        super().__init__(*arguments, engine=engine, **options)

    def get_model_info(self) -> dict[str, Any]:
        """The harness's description of the model for the results, with the use of the engine."""
        info: dict[str, Any] = super().get_model_info()
        return info | ({"engine": asdict(self.engine_record)} if self.engine_record else {})


def main() -> None:
    """Run the harness's command line."""
    cli_evaluate()


if __name__ == "__main__":
    main()
