"""What an evaluation needs from the Hub, fetched before the child starts, at pinned commits.

Only here and in `publish` does the worker show its token. Questions are fetched by a process of their own
(`workers.questions`), for the library that reads them is heavy and the worker is to stay small.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from typing import NoReturn

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from leaderboard.suites import Dataset, Suite
from workers.access import HubAccess
from workers.errors import (
    ConfigMissing,
    DatasetUnavailable,
    DiskFull,
    ModelGated,
    ModelGone,
    RevisionGone,
    WeightsMissing,
    WeightsPickled,
)

WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
"""What a model folder may hold: weights as safetensors, configs, tokenizers. No code, no pickles."""

UNWANTED = ("*.py", "*.bin", "*.pt", "*.pth", "*.pkl", "*.gguf", "onnx/*", "openvino/*", "original/*", "checkpoint-*/*")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
SPARE = 2 * 1024**3
"""Bytes of disk that stay free beside a model."""

FETCH_SECONDS = 3600
_AWAY = re.compile(r"(?:httpx2?|httpcore2?|requests|urllib3)\.|(?:Connection|Timeout)\w*Error:|.*\bServer [Ee]rror\b")
"""How the last line of the process that fetches questions begins where the Hub is away, for which no suite can help."""


@dataclass(frozen=True)
class Questions:
    """The suite's questions on this machine: `folder` is a cache of `datasets`, `revisions` repo → commit."""

    folder: Path
    revisions: dict[str, str]


def fetch_model(model: str, revision: str, hub: HubAccess, cache: Path) -> Path:
    """The folder with what is needed of `model` at the commit `revision`: configs, tokenizer, safetensors.

    Fetches what is not in `cache` yet. Raises ModelGone, WeightsMissing, kinds of these, ConfigMissing,
    DiskFull, and what the Hub's client raises where the Hub cannot be reached.
    """
    try:
        info = hub.api().model_info(model, revision=revision, files_metadata=True, timeout=30)
    except GatedRepoError as error:
        raise ModelGated(f"{model} is gated") from error
    except RevisionNotFoundError as error:
        raise RevisionGone(f"{model} has no commit {revision[:8]}") from error
    except RepositoryNotFoundError as error:
        raise ModelGone(f"{model} cannot be read") from error
    names = wanted_files(info)
    if not any(name.endswith(".safetensors") for name in names):
        _explain_missing_weights(info)
    if "config.json" not in names:
        raise ConfigMissing("there is no config.json in the repo")
    _make_room(names, cache)
    # Plain files in a folder of their own, not links into a shared store: a child is shown this folder alone.
    folder = cache / model.replace("/", "--") / revision
    snapshot_download(
        model,
        revision=revision,
        local_dir=folder,
        endpoint=hub.endpoint,
        token=hub.token or False,
        allow_patterns=[escape(name) for name in names],
    )
    return folder


def _explain_missing_weights(info: ModelInfo) -> NoReturn:
    """Raises WeightsPickled or WeightsMissing."""
    pickles = [file.rfilename for file in info.siblings or () if file.rfilename.endswith(PICKLES)]
    if pickles:
        raise WeightsPickled(", ".join(pickles[:3]))
    raise WeightsMissing("there is no safetensors file in the repo")


def wanted_files(info: ModelInfo) -> dict[str, int]:
    """The files of a model repo that an evaluation reads, with their sizes in bytes (0 where the Hub does not say)."""
    files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    return {
        name: size
        for name, size in files.items()
        if any(fnmatch(name, pattern) for pattern in WANTED) and not any(fnmatch(name, bad) for bad in UNWANTED)
    }


def _make_room(names: dict[str, int], cache: Path) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    needed, free = sum(names.values()) + SPARE, shutil.disk_usage(cache).free
    if needed > free:
        raise DiskFull(f"not enough free disk space: the model needs {needed} bytes, {free} are free")


def fetch_datasets(
    suite: Suite, hub: HubAccess, cache: Path, *, repo: str | None = None, revision: str | None = None
) -> Questions:
    """All questions of `suite`, ready to be read offline; `repo` and `revision` where the board holds them elsewhere.

    A folder of `cache` holds the questions of one suite at one set of commits: offline, the library that reads them
    cannot tell commits apart. Raises DatasetUnavailable.
    """
    sources = [_resolved(source, hub) for source in sources_of(suite, repo, revision)]
    revisions = {source.repo: str(source.revision) for source in sources}
    key = json.dumps([source.model_dump() for source in sources], sort_keys=True)
    folder = cache / f"{suite.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    done = folder / "complete"
    if not done.exists():
        _fetch_elsewhere(sources, hub, folder)
        done.touch()
    return Questions(folder / "datasets", revisions)


def sources_of(suite: Suite, repo: str | None, revision: str | None) -> Iterable[Dataset]:
    """The suite's datasets; a suite of one's own may have its one dataset in another `repo`."""
    if not suite.own:
        return suite.datasets
    (source,) = suite.datasets
    moved = {"repo": repo or source.repo, "revision": revision or (None if repo else source.revision)}
    return (source.model_copy(update=moved),)


def _resolved(source: Dataset, hub: HubAccess) -> Dataset:
    """The source with a commit: its own, or the head of today."""
    if source.revision:
        return source
    try:
        sha = hub.api().dataset_info(source.repo, timeout=30).sha
    except HfHubHTTPError as error:
        raise DatasetUnavailable(f"{source.repo}: {type(error).__name__}") from error
    return source.model_copy(update={"revision": sha})


def _fetch_elsewhere(sources: Iterable[Dataset], hub: HubAccess, folder: Path) -> None:
    """Run `workers.questions`. Its order comes on standard input: no token stands in its environment or arguments."""
    order = {
        "endpoint": hub.endpoint,
        "token": hub.token,
        "folder": str(folder),
        "sources": [source.model_dump() for source in sources],
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("STEWARD_", "HF_", "REDIS_"))}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "workers.questions"],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=FETCH_SECONDS,
            check=False,
            env=environment | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetUnavailable(f"fetching the questions took more than {FETCH_SECONDS} seconds") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else f"the fetching process ended with status {done.returncode}"
        raise failure_of(last)


def failure_of(last: str) -> Exception:
    """What the fetching of questions died of, from the last line that it wrote."""
    return ConnectionError(last) if _AWAY.match(last) else DatasetUnavailable(last)
