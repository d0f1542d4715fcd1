"""`python -m workers.evaluators.embeddings`: evaluates embeddings of texts, by the cosine of the angle between them.

A text's embedding is the mean of the model's last hidden states. Each task is a file `{task}.jsonl` in the suite's
first dataset, with a question on each line, all of one kind:

    {"text": …, "positive": …, "negative": …}   accuracy: whether the text is nearer to the positive one
    {"text": …, "other": …, "score": …}         spearman: whether similar pairs have higher scores; 0 if it is negative

Options: `max_tokens` of a text (512, or fewer where the model takes fewer), and `prefix` (""), which stands
before each text.

In the mode `score`, `spearman` is computed from the stored similarities again, as for withdrawn questions. Embeddings
are not stored: another measure than the cosine needs the model.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import torch
from transformers import AutoModel

from workers.evaluators.model_loading import CannotLoad, load_model

VERSION = "1"
_NOT_NEEDED = "pooler."
"""Beginning of the names of weights that embeddings do not use, and that checkpoints of language models lack."""


def main() -> None:
    """Evaluate as plan.json says, and leave samples and results."""
    plan_file = Path(os.environ["STEWARD_PLAN"])
    plan, folder = json.loads(plan_file.read_text("utf-8")), plan_file.parent
    tasks = _stored_samples(plan) if plan["mode"] == "score" else _evaluated_samples(plan)
    reports = {}
    for task in plan["tasks"]:
        samples = tasks[task["name"]]
        lines = (json.dumps(sample) + "\n" for sample in samples)
        (folder / "samples" / f"{task['name']}.jsonl").write_text("".join(lines), "utf-8")
        counted = [sample for sample in samples if sample["id"] not in task["withdrawn"]]
        reports[task["name"]] = {"questions": len(samples), "metrics": _metrics(samples, counted)}
    results = {
        "contract": 1,
        "evaluator": {"name": "embeddings", "version": VERSION},
        "model": plan["model"]["name"],
        "revision": plan["model"]["revision"],
        "tasks": reports,
        "versions": {name: metadata.version(name) for name in ("transformers", "torch")},
    }
    (folder / "results.json").write_text(json.dumps(results), "utf-8")


def _evaluated_samples(plan: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The samples of each task, computed with the model."""
    torch.manual_seed(plan["seed"])
    if plan["devices"]["threads"]:
        torch.set_num_threads(plan["devices"]["threads"])
    tasks = {task["name"]: _questions(plan, task["name"]) for task in plan["tasks"]}
    embedder, total, done = Embedder(plan), sum(map(len, tasks.values())), 0
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in tasks}
    for name, questions in tasks.items():
        for number, question in enumerate(questions):
            samples[name].append(_sample(number, question, embedder))
            done += 1
            _say_progress(done, total)
    return samples


def _stored_samples(plan: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The stored samples of each task, with the similarities that the model gave."""
    samples = {}
    for task in plan["tasks"]:
        lines = (Path(plan["stored"]) / f"{task['name']}.jsonl").read_text("utf-8").split("\n")
        samples[task["name"]] = [json.loads(line) for line in lines if line]
    total = sum(map(len, samples.values()))
    _say_progress(total, total)
    return samples


def _say_progress(done: int, total: int) -> None:
    os.write(int(os.environ["STEWARD_PROGRESS"]), json.dumps({"done": done, "total": total}).encode() + b"\n")


def _questions(plan: dict[str, Any], task: str) -> list[dict[str, Any]]:
    lines = (Path(plan["questions"][0]["folder"]) / f"{task}.jsonl").read_text("utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()][: plan["limit"]]


class Embedder:
    """The model of a plan, which turns texts into vectors of length 1."""

    def __init__(self, plan: dict[str, Any]) -> None:
        try:
            self.tokenizer, network = load_model(plan, AutoModel, unused=_NOT_NEEDED)
        except CannotLoad as error:
            _refuse(str(error))
        self.device, options = plan["devices"]["device"], plan["options"]
        self.network = (network.get_encoder() if network.config.is_encoder_decoder else network).eval()
        known = (getattr(network.config, "max_position_embeddings", None), self.tokenizer.model_max_length)
        limits = [limit for limit in known if isinstance(limit, int) and limit > 1]
        self.max_tokens = min([int(options.get("max_tokens", 512)), *limits])
        self.prefix = str(options.get("prefix", ""))

    def __call__(self, text: str) -> torch.Tensor:
        """The vector of one text."""
        with torch.inference_mode():
            return self._embed(text)

    def _embed(self, text: str) -> torch.Tensor:
        words = self.prefix + text
        tokens = self.tokenizer(words, return_tensors="pt", truncation=True, max_length=self.max_tokens).to(self.device)
        states = self.network(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        vector = states[0].float().mean(dim=0)
        if not torch.isfinite(vector).all():
            _refuse("its embeddings are not numbers (NaN or infinity)")
        return torch.nn.functional.normalize(vector, dim=0)


def _refuse(message: str) -> NoReturn:
    """Write to failure.json why the model cannot be evaluated, and end this process."""
    Path("failure.json").write_text(json.dumps({"contract": 1, "fault": "model", "message": message[:1000]}), "utf-8")
    sys.exit(1)


def _sample(number: int, question: dict[str, Any], embedder: Embedder) -> dict[str, Any]:
    """A sample: its similarity, or for a question with a negative text whether the positive one is nearer."""
    others = [question[name] for name in ("positive", "negative", "other") if name in question]
    vector = embedder(question["text"])
    similarities = [float(vector @ embedder(other)) for other in others]
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return {
        "id": number,
        "question_digest": hashlib.sha256(canonical.encode()).hexdigest(),
        "question": question,
        "prompt": "\n".join([question["text"], *others]),
        "target": str(question.get("score", question.get("positive", ""))),
        "output": " ".join(f"{similarity:.6f}" for similarity in similarities),
        "metrics": {"accuracy": float(similarities[0] > similarities[1])}
        if len(similarities) > 1
        else {"similarity": similarities[0]},
    }


def _metrics(samples: Sequence[dict[str, Any]], counted: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The metric of a task: `accuracy` is the mean of all `samples`, `spearman` follows from the `counted` ones."""
    if "score" not in samples[0]["question"]:
        return {"accuracy": sum(sample["metrics"]["accuracy"] for sample in samples) / len(samples)}
    scores = [float(sample["question"]["score"]) for sample in counted]
    return {"spearman": spearman([sample["metrics"]["similarity"] for sample in counted], scores)}


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """The correlation of the ranks; 0 if it is negative, or if all values of one sequence are equal."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 0.0
    return max(0.0, min(1.0, statistics.correlation(_ranks(first), _ranks(second))))


def _ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value; equal values share the mean of their ranks."""
    places: dict[float, list[int]] = {}
    for place, value in enumerate(sorted(values)):
        places.setdefault(value, []).append(place)
    return [statistics.fmean(places[value]) for value in values]


if __name__ == "__main__":
    main()
