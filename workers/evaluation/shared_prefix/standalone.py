"""The harness's `hf` model with shared prefixes, for use without Steward; importing this module registers it.

It takes the arguments of `hf`, and writes into the results how the answers were computed.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lm_eval.api.registry import register_model

from workers.evaluation.shared_prefix.model import SharedPrefixModel
from workers.evaluation.shared_prefix.trust import SHARED_PREFIX

MODEL = "steward-hf"
"""The name under which the model is registered with the harness."""


@register_model(MODEL)
class StandaloneModel(SharedPrefixModel):
    """The harness's `hf` model, with shared prefixes unless `engine` says `harness`."""

    def __init__(self, *arguments: Any, engine: str = SHARED_PREFIX, **options: Any) -> None:
        super().__init__(*arguments, engine=engine, **options)
        if hasattr(self, "accelerator") and self.device.type == "cpu":  # the harness does this only for GPUs
            self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes

    def get_model_info(self) -> dict[str, Any]:
        """The harness's description of the model for the results, with the use of the engine."""
        info: dict[str, Any] = super().get_model_info()
        return info | ({"engine": asdict(self.engine_record)} if self.engine_record else {})
