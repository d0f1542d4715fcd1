"""`digest_script.py FOLDER` prints the inputs of the digests of a made-up task, whose code is in FOLDER."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from workers.evaluation.digest_recorder import DigestRecorder

CODE = """
import re
import numpy as np
import pydantic

NUMBER = re.compile(r"-?[0-9]+")


def process_results(doc, results):
    return {"acc": float(NUMBER.findall(results[0])[-1:] == [doc["answer"]])}


def mean(values):
    return float(np.mean(values))
"""


def load_module(path: Path) -> Any:
    """Load a task's code as the harness does: under its path as the name."""
    name = str(path.with_suffix(""))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module


class MadeUpTask:
    """A made-up task of the harness, with only what digests read."""

    DATASET_PATH = "ada/sums"

    def __init__(self, code: Any, prompt: str = "{} =", **doc: object) -> None:
        self.config = SimpleNamespace(
            task="sums", output_type="generate_until", num_fewshot=0, process_results=code.process_results,
            should_decontaminate=False, doc_to_target="answer", doc_to_choice=None, doc_to_text=prompt,
        )  # fmt: skip
        self.docs: list[dict[str, object]] = [{"sum": f"{n} + {n}", "answer": str(2 * n), **doc} for n in range(3)]
        self._instances: list[Any] = []
        self._draws = Random(0)
        self._aggregation = {"acc": code.mean}

    @property
    def instances(self) -> list[Any]:
        """The requests that were made last."""
        return self._instances

    def aggregation(self) -> dict[str, Any]:
        """Metric → the function that computes its score."""
        return self._aggregation

    def higher_is_better(self) -> dict[str, bool]:
        """Whether a high score is a good one."""
        return {"acc": True}

    def build_all_requests(self, *, rank: int = 0, world_size: int = 1, **options: Any) -> None:
        """Make the requests of this copy's share of the questions."""
        template = options.get("chat_template") or str
        self._instances = [
            SimpleNamespace(
                doc_id=number, idx=0, repeats=1, request_type="generate_until", task_name="sums", doc=doc,
                args=(template(self._examples() + str(self.config.doc_to_text).format(doc["sum"])), {"until": ["\n"]}),
            )
            for number, doc in list(enumerate(self.docs))[rank::world_size]
        ]  # fmt: skip

    def _examples(self) -> str:
        """The next examples of a random sequence."""
        return "".join(f"{self._draws.random()}\n" for _ in range(self.config.num_fewshot))


def recorded(task: MadeUpTask, **options: Any) -> DigestRecorder:
    """Build the requests of a task, and return the recorder that has watched it."""
    recorder = DigestRecorder({"ada/sums": "c" * 40})
    recorder.watch({"sums": task})
    task.build_all_requests(**options)
    return recorder


if __name__ == "__main__":
    print(recorded(MadeUpTask(load_module(Path(sys.argv[1]) / "utils.py"))).parts().model_dump_json())
