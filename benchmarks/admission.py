"""Measures the facts of admission: calls to the Hub and time of a model, and memory for hostile models.

    python -m benchmarks.admission [--rounds 5] [--json]

A local Hub in its own process has real repos: a model like those with 7 billion parameters except for its weights (32
layers, 32,000 tokens), the same in ten shards, a config that claims a million layers, one that claims a billion, and a
tokenizer of 200 MB. `calls` counts all requests for an ordinary model, including redirects to the store of large files;
`seconds` is the median of its rounds. `rss_mb` is the peak memory of the measuring process over all models; `probe_mb`
is that of the probe and its forks at any moment. The probe imports its libraries before, as in a sync process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.sampler import sampling
from benchmarks.stage import peak_mb
from leaderboard.admission.sizes import parameters

TOKEN = "hf_bench"
LARGE = 200_000_000
MODELS = ("ordinary", "shards", "million-layers", "billion-layers", "large-tokenizer")
EXPECTED = {"million-layers": "loaded", "billion-layers": "too-costly"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--hub", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.hub:
        print(json.dumps(measure(options.hub, options.rounds)))
        return
    figures = in_a_process(options.rounds)
    for name, model_figures in figures.pop("models").items():
        print(
            f"{name:>16}: {model_figures['calls']:3} calls, {model_figures['seconds']:6.3f} s, {model_figures['words']}"
        )
    print(f"ordinary: {figures['calls']} calls, {figures['seconds']} s; most memory {figures['rss_mb']} MB")
    if options.json:
        print(json.dumps(figures))


def in_a_process(rounds: int) -> dict[str, Any]:
    """Return the figures of a process that only gathers facts."""
    from localhub.testing import HubWorld

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        world = HubWorld().user("ada", TOKEN)
        for name in MODELS:
            world.repo("model", f"ada/{name}")
        (Path(folder) / "world.json").write_text(json.dumps(world))
        command = [sys.executable, "-m", "localhub", "--port", "0", "--data", f"{folder}/hub"]
        command += ["--world", f"{folder}/world.json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as hub:
            try:
                assert hub.stdout is not None
                url = json.loads(hub.stdout.readline())["url"]
                upload(url)
                command = [sys.executable, "-m", "benchmarks.admission", "--hub", url, "--rounds", str(rounds)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
            finally:
                hub.terminate()
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(url: str, rounds: int) -> dict[str, Any]:
    """Gather the facts of each model, and record the costs."""
    from bot.model_facts.model import gather_model_facts
    from bot.probe import Probe
    from hub.client import Hub

    calls: list[str] = []
    models: dict[str, Any] = {}
    descendant_memory = DescendantMemory()
    with (
        Hub(url, TOKEN, on_call=lambda _, route: calls.append(route)) as hub,
        Probe() as probe,
        sampling(descendant_memory.look, every=0.02),
    ):
        probe.load(b'{"model_type": "llama"}')
        for name in MODELS:
            times = []
            for _ in range(rounds if name == MODELS[0] else 1):
                calls.clear()
                started = time.monotonic()
                facts = gather_model_facts(hub, probe, f"ada/{name}", "main")
                times.append(time.monotonic() - started)
            assert facts.config is not None
            assert facts.tokenizer is not None
            count = parameters(facts, "Original")
            words = f"config {facts.config.state}, tokenizer {facts.tokenizer.state}, {count} parameters"
            assert facts.config.state == EXPECTED.get(name, "loaded"), words
            assert facts.tokenizer.state == ("too-large" if name == MODELS[-1] else "loaded"), words
            models[name] = {"calls": len(calls), "seconds": round(statistics.median(times), 3), "words": words}
    first = models[MODELS[0]]
    memory = {"rss_mb": round(peak_mb(os.getpid()), 1), "probe_mb": round(descendant_memory.most / 2**20, 1)}
    return {"calls": first["calls"], "seconds": first["seconds"], **memory, "models": models}


class DescendantMemory:
    """The peak memory of all descendants together in any sample; each page counts once."""

    def __init__(self) -> None:
        self.most = 0

    def look(self) -> None:
        """Take a sample."""
        self.most = max(self.most, sum(map(_proportional, _below(os.getpid()))))


def _below(pid: int) -> list[int]:
    children_file = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        children = [
            int(child)
            for task in children_file.parents[1].iterdir()
            for child in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [below for child in children for below in (child, *_below(child))]


def _proportional(pid: int) -> int:
    """Return the proportional set size in bytes, in which shared pages count in part."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0  # it ended meanwhile
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def upload(url: str) -> None:
    """Upload the models."""
    from hub.client import Hub
    from hub.records import Repo, WriteFile

    plain = {"config.json": config(), "README.md": b"---\nlicense: mit\n---\n" + b"About this model. " * 50, **words()}
    single = {"model.safetensors": safetensors(tensors(range(32)))}
    made = {
        "ordinary": {**plain, **single},
        "shards": {**plain, **shards()},
        "million-layers": {**plain, **single, "config.json": config(num_hidden_layers=10**6)},
        "billion-layers": {**plain, **single, "config.json": config(model_type="qwen2", num_hidden_layers=10**9)},
        "large-tokenizer": {**plain, **single, "tokenizer.json": bytes(LARGE)},
    }
    with Hub(url, TOKEN, timeout=120) as hub:
        for name, files in made.items():
            hub.commit(Repo("model", f"ada/{name}"), [WriteFile(path, data) for path, data in files.items()], "Upload")


def config(**fields: Any) -> bytes:
    """Return a usual config."""
    usual = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32_000, "dtype": "bfloat16"}
    return json.dumps({**usual, "num_hidden_layers": 32, **fields}).encode()


def words() -> dict[str, bytes]:
    """Return a tokenizer of 32,000 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    known = {char: number for number, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    known |= {f"word{number}": number for number in range(len(known), 32_000)}
    made = Tokenizer(models.BPE(known, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "word300", "eos_token": "word301"}
    settings["chat_template"] = "{% for message in messages %}{{ message.content }}{% endfor %}"
    return {"tokenizer.json": made.to_str().encode(), "tokenizer_config.json": json.dumps(settings).encode()}


def tensors(layers: range) -> list[str]:
    """Return the names of the tensors of these layers."""
    parts = [f"self_attn.{part}_proj" for part in "qkvo"] + [f"mlp.{part}_proj" for part in ("gate", "up", "down")]
    parts += ["input_layernorm", "post_attention_layernorm"]
    return [f"model.layers.{layer}.{part}.weight" for layer in layers for part in parts]


def shards() -> dict[str, bytes]:
    """Return ten shards and their index."""
    files: dict[str, bytes] = {}
    weight_map: dict[str, str] = {}
    for number in range(10):
        name = f"model-{number + 1:05}-of-00010.safetensors"
        held = tensors(range(number * 32 // 10, (number + 1) * 32 // 10))
        files[name] = safetensors(held, fill=number)
        weight_map |= dict.fromkeys(held, name)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    return {**files, "model.safetensors.index.json": json.dumps(index).encode()}


def safetensors(names: list[str], *, fill: int = 0) -> bytes:
    """Return a file in which each tensor has a thousand values."""
    header = {
        name: {"dtype": "BF16", "shape": [10, 100], "data_offsets": [2_000 * n, 2_000 * (n + 1)]}
        for n, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes([fill]) * (2_000 * len(names))


if __name__ == "__main__":
    main()
