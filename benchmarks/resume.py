"""Measures the costs of an evaluation's journal, and how much an attempt that continues a killed one computes.

    python -m benchmarks.resume [--quick] [--json]

One evaluation in the shapes of real suites (`benchmarks.engine_shapes`), log-likelihoods and texts, in float32 by the
default engine. Each run is a process of its own. With SmolLM2-135M-Instruct it is run to its end without a journal and
with one. With a small random model of the same tokenizer, which computes as many tokens in less time, it is also killed
(SIGKILL) in the forward pass in which it has computed 10, 50 and 90 % of the tokens, and continued. Work is counted in
tokens of forward passes, padding included.

    overhead           seconds inside the journal, and in recording answers by request for other machines, / seconds of
                       the evaluation
    difference         processor seconds with a journal / without one - 1; on a busy machine mostly noise
    recomputed_share   tokens of both attempts / tokens of a whole one
    largest_suite      bytes of the journal of `open-llm-v2`, if all its texts were as long as they may be

Larger models compute longer for the same records: for them the overhead is smaller.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_shapes import SHAPES, instructions
from benchmarks.engine_texts import NEW_TOKENS
from benchmarks.engines import converted_model, requests_of

QUESTIONS = {"bbh": 120, "gpqa": 160, "musr": 8}
TEXTS, TEXT_TOKENS = 400, 16
REAL_TEXTS = {"ifeval": 541, "math": 1_324}
SHARES = (10, 50, 90)
BATCH_SIZE = 4
IDENTITY = "0" * 64


def main() -> int:
    """Measure and print; exit with 1 if a continued evaluation gives other answers or computes too much."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="an eighth of the questions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--run", metavar="ORDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(json.loads(options.run))
        return 0
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = measure(Path(folder), 8 if options.quick else 1, options.threads)
    if options.json:
        print(json.dumps(figures))
    return 0 if figures["equal"] else 1


def measure(folder: Path, divisor: int, threads: int) -> dict[str, Any]:
    """Run the evaluations one after the other, and print each."""
    real = converted_model(folder)
    small = _small_model(real, folder / "small")

    def start(model: Path, journal: str, killed_at: int = 0) -> dict[str, Any]:
        settings = {"divisor": divisor, "threads": threads, "killed_at": killed_at}
        return run_in_a_process(folder, model, journal, settings)

    all_of_it = start(small, "whole-of-small")
    equal, shares = True, {}
    for share in SHARES:
        killed = start(small, str(share), all_of_it["tokens"] * share // 100)
        continued = start(small, str(share))
        equal = equal and continued["answers"] == all_of_it["answers"]
        shares[str(share)] = round((killed["tokens"] + continued["tokens"]) / all_of_it["tokens"], 4)
    plain, whole = start(real, ""), start(real, "whole")
    equal = equal and plain["answers"] == whole["answers"]
    figures = {
        "overhead": round(whole["journal_seconds"] / whole["seconds"], 5),
        "difference": round(whole["processor_seconds"] / plain["processor_seconds"] - 1, 4),
        "recomputed_share": shares,
        "equal": equal,
        "journal_bytes": (folder / "whole").stat().st_size,
        "largest_suite": largest_suite(whole),
    }
    print(*(f"{name}: {value}" for name, value in figures.items()), sep="\n")
    return figures


def run_in_a_process(folder: Path, model: Path, journal: str, settings: dict[str, int]) -> dict[str, Any]:
    """Run one evaluation in a process of its own, print its costs, and return its measurements."""
    paths = {"journal": str(folder / journal) if journal else "", "result": str(folder / "result")}
    order = {"model": str(model), **settings, **paths}
    ended = subprocess.run([sys.executable, "-m", "benchmarks.resume", "--run", json.dumps(order)], check=False)
    killed_at = settings["killed_at"]
    if ended.returncode != (-signal.SIGKILL if killed_at else 0):
        raise RuntimeError(f"a run ended with status {ended.returncode}")
    result: dict[str, Any] = json.loads((folder / "result").read_text())
    (folder / "result").unlink()
    title = f"killed at {killed_at:,} tokens" if killed_at else "to the end"
    print(
        f"{model.name:24} {title:26} {result['tokens']:>9,} tokens {result['seconds']:>7.1f} s  "
        f"journal: {journal or 'none'} {result.get('journal_seconds', 0.0):.2f} s",
        flush=True,
    )
    return result


def _small_model(real: Path, folder: Path) -> Path:
    """A random model with the tokenizer of the model in `real`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    config = AutoConfig.from_pretrained(real, **sizes, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # so that scores are far from each other
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(real).save_pretrained(folder)
    return folder


def largest_suite(whole: dict[str, Any]) -> int:
    """The bytes of the journal of `open-llm-v2`: ten answers a question, and every text as long as it may be."""
    questions = sum(shape.real for shape in SHAPES if shape.name in ("bbh", "gpqa", "mmlu_pro", "musr"))
    tokens = sum(count * NEW_TOKENS[name] for name, count in REAL_TEXTS.items())
    return int(questions * 10 * whole["bytes_of_request"] + tokens * whole["bytes_of_token"])


# --- one run, in its own process


def run(order: dict[str, Any]) -> None:
    """Run the evaluation, and write its measurements; a run that kills itself writes them before the signal."""
    import torch

    from workers.evaluation.shared_prefix.journal import AnswerJournal
    from workers.evaluation.shared_prefix.model import SharedPrefixModel
    from workers.evaluation.shared_prefix.trust import SHARED_PREFIX

    logging.disable(logging.WARNING)
    torch.set_num_threads(order["threads"])
    lm = SharedPrefixModel(
        pretrained=order["model"], dtype="float32", device="cpu", batch_size=BATCH_SIZE, engine=SHARED_PREFIX
    )
    spent = _time_journal()
    tokens = [0]

    def write(**figures: Any) -> None:
        Path(order["result"]).write_text(json.dumps({"tokens": tokens[0], **figures}))

    def count(_: Any, arguments: Sequence[Any], options: dict[str, Any]) -> None:
        if order["killed_at"] and tokens[0] >= order["killed_at"]:
            write(seconds=time.monotonic() - began)
            os.kill(os.getpid(), signal.SIGKILL)
        tokens[0] += (arguments[0] if arguments else options["input_ids"]).numel()

    lm.model.register_forward_pre_hook(count, with_kwargs=True)
    began, processor = time.monotonic(), time.process_time()
    if order["journal"]:
        descriptor = os.open(order["journal"], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        lm.journal = AnswerJournal(descriptor, IDENTITY)
        _record_by_request(lm, Path(f"{order['journal']}-by-request"))
    answers, sizes = evaluate(lm, order["divisor"], order["journal"])
    write(
        answers=answers,
        seconds=time.monotonic() - began,
        processor_seconds=time.process_time() - processor,
        journal_seconds=spent[0],
        **sizes,
    )


def _record_by_request(lm: Any, file: Path) -> None:
    """Record each answer by its request, too, as a worker does for other machines."""
    from lm_eval.api.model import CacheHook

    from workers.evaluation.shared_prefix.journal import AnswerJournal
    from workers.evaluation.shared_prefix.portable_answers import MAX_VALUE_BYTES, PortableAnswers

    class Recorder(CacheHook):  # type: ignore[misc]  # the harness has no types
        def add_partial(self, attr: str, req: Any, res: Any) -> None:
            lm.portable_answers.note(attr, req, res)

    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    lm.portable_answers = PortableAnswers(AnswerJournal(descriptor, IDENTITY, max_value_bytes=MAX_VALUE_BYTES))
    lm.set_cache_hook(Recorder(None))


def evaluate(lm: Any, divisor: int, journal: str) -> tuple[list[Any], dict[str, float]]:
    """The answers to all requests, and the bytes of the journal for each request, and for each token of a text."""
    from lm_eval.api.instance import Instance

    questions = {shape: shape.first(QUESTIONS[shape.name] // divisor) for shape in SHAPES if shape.name in QUESTIONS}
    requests = [request for shape, asked in questions.items() for request in requests_of(shape, asked)]
    answers = lm.loglikelihood(requests, disable_tqdm=True)
    middle = Path(journal).stat().st_size if journal else 0
    texts = instructions(random.Random("resume"), TEXTS // divisor)
    options = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": TEXT_TOKENS}
    asked = [Instance("generate_until", {}, (text, options), at) for at, text in enumerate(texts)]
    generated = lm.generate_until(asked, disable_tqdm=True)
    end = Path(journal).stat().st_size if journal else 0
    tokens = sum(len(lm.tok_encode(text)) for text in generated)
    sizes = {"bytes_of_request": middle / len(requests), "bytes_of_token": (end - middle) / tokens}
    return [*answers, *generated], sizes


def _time_journal() -> list[float]:
    """Measure from now on the seconds that the journal takes: reading, writing, keys, and finding out the batches."""
    from workers.evaluation.shared_prefix import engine, generation_requests, model
    from workers.evaluation.shared_prefix.journal import AnswerJournal
    from workers.evaluation.shared_prefix.plan import Plan
    from workers.evaluation.shared_prefix.portable_answers import PortableAnswers

    spent, depth = [0.0], [0]

    def timed(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            depth[0] += 1
            try:
                return function(*arguments, **options)
            finally:
                depth[0] -= 1
                if not depth[0]:  # a timed function inside another one counts once
                    spent[0] += time.perf_counter() - began

        return call

    owners: list[tuple[Any, str]] = [
        (AnswerJournal, "__init__"), (AnswerJournal, "add"), (AnswerJournal, "get"), (engine, "_step_key"),
        (engine, "out_of_memory_key"), (model, "answer_batches"), (model, "answer_key"), (model, "text_batches"),
        (model, "text_key"), (generation_requests, "unit_key"), (Plan, "with_parents"),
        (PortableAnswers, "note"),
    ]  # fmt: skip
    for owner, name in owners:
        setattr(owner, name, timed(getattr(owner, name)))
    return spent


if __name__ == "__main__":
    sys.exit(main())
