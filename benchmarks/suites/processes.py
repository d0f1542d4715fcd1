"""Steward's processes on a Hub of this machine, which holds a suite's generated datasets and the model."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CommitOperationAdd, HfApi

from benchmarks.demo import has_worker, wait_for
from benchmarks.suites.datasets import GATED, MAKERS, datasets_of
from benchmarks.suites.rows import files
from steward.children import Children
from steward.demo.models import DemoModel, upload
from steward.demo.stage import STEWARD, build_stage
from steward.demo.world import MAINTAINER, WORKER, World
from steward.valkey import free_port

MODELS = {"smollm2": "ada/SmolLM2-135M-Instruct", "two-layers": "ada/two-layers"}


class SuiteWorld(World):
    """The demo's world, with the organisations that publish the datasets; gated ones are open to the worker."""

    def as_world(self) -> dict[str, Any]:
        """Return the world file with which localhub starts."""
        world: dict[str, Any] = super().as_world()
        publishers = sorted({repo.partition("/")[0] for repo in MAKERS})
        world["orgs"] += [{"name": name, "members": {MAINTAINER: "admin"}} for name in publishers]
        gated = {"type": "dataset", "gated": "manual", "grants": [WORKER]}
        world["repos"] += [{**gated, "id": repo, "files": {}} for repo in GATED]
        return world


@contextmanager
def started(folder: Path, options: argparse.Namespace) -> Iterator[Any]:
    """Start queue server, localhub with the datasets, web server, sync process and worker."""
    (folder / "nltk/tokenizers/punkt_tab").mkdir(parents=True)  # no question needs its data
    with Children(folder / "logs") as children:
        stage = build_stage(folder, children, free_port())
        try:
            stage.world = SuiteWorld(stage.web_url)
            stage.start_hub(port=0)
            for repo, splits in datasets_of(options.suite, options.questions):
                upload_dataset(stage, repo, files(splits))
            stage.write_board(options.suite)
            board = yaml.safe_load((folder / "board.yaml").read_text())
            (folder / "board.yaml").write_text(yaml.safe_dump({**board, "engine": "shared-prefix"}))
            stage.start_bot()
            token = folder / "worker-token"
            token.touch(mode=0o600)
            token.write_text(stage.world.tokens[WORKER])
            settings = {
                "STEWARD_WORKER_TOKEN_FILE": str(token),
                "STEWARD_WORK_DIR": str(folder / "worker"),
                "STEWARD_BATCH_SIZE": str(options.batch_size),
                "NLTK_DATA": str(folder / "nltk"),
            }
            children.start("worker", [*STEWARD, "work"], environment=stage.environment(**settings))
            stage.wait_until_ready()
            wait_for(stage, lambda: has_worker(stage))
            yield stage
        finally:
            children.stop()
            stage.valkey.stop()


def upload_dataset(stage: Any, repo: str, contents: dict[str, bytes]) -> None:
    """Upload a dataset as its publisher."""
    api = HfApi(stage.hub_url, token=stage.world.tokens[MAINTAINER])
    api.create_repo(repo, repo_type="dataset", exist_ok=True)
    added = [CommitOperationAdd(path, data) for path, data in contents.items()]
    api.create_commit(repo, added, commit_message="Upload the questions", repo_type="dataset")


def upload_model(stage: Any, name: str) -> str:
    """Upload SmolLM2, or a random model of two layers with its tokenizer, in float32; return the commit."""
    from workers.models.gguf import RECORD, convert, packaged_gguf

    folder = convert(packaged_gguf(), stage.folder / "model", "float32")
    if name == "two-layers":
        two_layers(folder)
    contents: dict[str, bytes | Path] = {
        file.name: file for file in sorted(folder.iterdir()) if file.is_file() and file.name != RECORD
    }
    about = "A model for the measurement of a suite."
    return upload(stage.hub_url, stage.world.tokens["ada"], DemoModel(MODELS[name], about, lambda _: contents), folder)


def two_layers(folder: Path) -> None:
    """Replace the model in `folder` by a random one of the same architecture, with two narrow layers.

    Its weights are large, so that no two answers are nearly as likely, and most of its texts end soon.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    changes = {
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
    }
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(folder, **changes)  # nosec B615  # a folder
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        model.get_output_embeddings().weight[config.eos_token_id] *= 3
    model.save_pretrained(folder)
