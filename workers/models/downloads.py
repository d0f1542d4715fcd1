"""What an evaluation needs from the Hub, fetched before the child starts, at pinned commits.

Only here and in `publish` does the worker show its token. Questions are fetched by a process of their own
(`workers.models.fetch_questions`), for the library that reads them is heavy and the worker is to stay small.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from typing import NoReturn

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from leaderboard.suites import Dataset, Suite
from workers.common.hub_access import HubAccess
from workers.errors import (
    AdapterUnusable,
    ConfigMissing,
    DatasetUnavailable,
    ModelGated,
    ModelGone,
    RevisionGone,
    TooManyFiles,
    WeightsMissing,
    WeightsPickled,
)
from workers.models.checkpoint import ADAPTER, ADAPTER_CONFIG
from workers.models.disk_store import BlobRef, ModelStore, PinnedSnapshot, locked

INCLUDED_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
"""What a model folder may hold: weights as safetensors, configs, tokenizers. No code, no pickles."""

MAX_FILES = 2_000
"""Files of one model: each is a call to the Hub, and the library that fetches them compares each with every other."""
EXCLUDED_PATTERNS = ("*.py", "*.bin", "*.pt", "*.pth", "*.pkl", "*.gguf")
TEMPLATES = "additional_chat_templates"
"""The one folder below that a tokenizer is read from: everything else lies at the top, shards by their index too."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
RESERVED_BYTES = 2 * 1024**3
"""Bytes of disk that stay free beside a model."""

FETCH_SECONDS = 3600
ASK_SECONDS = 30
"""For one answer of the Hub about a repo."""
_AWAY = re.compile(r"(?:httpx2?|httpcore2?|requests|urllib3)\.|(?:Connection|Timeout)\w*Error:|.*\bServer [Ee]rror\b")
"""How the error of the process that fetches questions begins where the Hub is away, for which no suite can help."""
_NAMED = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Timeout|NotFound)\w*: ")
"""A line in which a traceback names its error, at the left edge."""


@dataclass(frozen=True)
class SuiteQuestions:
    """The suite's questions on this machine: `folder` is a cache of `datasets`, `revisions` repo → commit.

    `moved` is the repo that the suite names → the one that holds its questions, where that is another.
    """

    folder: Path
    revisions: dict[str, str]
    moved: dict[str, str] = field(default_factory=dict)


def fetch_model(model: str, revision: str, hub: HubAccess, cache: Path, *, most: int | None = None) -> Path:
    """The folder with what is needed of `model` at the commit `revision`: configs, tokenizer, safetensors.

    See `hold_model`; nobody keeps it from being evicted.
    """
    held = pin_model(model, revision, hub, cache, most=most)
    held.release()
    return held.folder


def pin_model(
    model: str, revision: str, hub: HubAccess, cache: Path, *, adapter: bool = False, most: int | None = None
) -> PinnedSnapshot:
    """What is needed of `model` at the commit `revision`, in the store in `cache`, which has `most` bytes at most.

    An `adapter` has a config of its own. Raises ModelGone, WeightsMissing, kinds of these, TooManyFiles,
    ConfigMissing, AdapterUnusable, DiskFull, BlobDiffers, and what the Hub's client raises where the Hub is away.
    """
    files = needed_files(_info(model, revision, hub))

    def download(folder: Path, names: list[str]) -> None:
        snapshot_download(
            model,
            revision=revision,
            local_dir=folder,
            endpoint=hub.endpoint,
            token=hub.token or False,
            allow_patterns=[escape(name) for name in names],
        )

    _check_whole(model, revision, hub, files, adapter=adapter)
    # Plain files in a folder of their own, not links into a shared store: a child is shown this folder alone.
    return ModelStore(cache, most=most, spare=RESERVED_BYTES).hold(model, revision, files, download)


def _info(model: str, revision: str, hub: HubAccess) -> ModelInfo:
    """What the Hub says of the model's files. Raises ModelGone, and kinds of it.

    Who may not pass a gate is still told what lies behind it. Files of that content may be in the store already, from
    another model, and then nobody would ask for them: so it is asked here.
    """
    try:
        info = hub.api().model_info(model, revision=revision, files_metadata=True, timeout=ASK_SECONDS)
        if info.gated:
            hub.api().auth_check(model)
        return info
    except GatedRepoError as error:
        raise ModelGated(f"{model} is gated") from error
    except RevisionNotFoundError as error:
        raise RevisionGone(f"{model} has no commit {revision[:8]}") from error
    except RepositoryNotFoundError as error:
        raise ModelGone(f"{model} cannot be read") from error


def head_commit(model: str, hub: HubAccess) -> str:
    """The newest commit of `model`. Raises ModelGone."""
    return str(_info(model, "main", hub).sha)


def _check_whole(model: str, revision: str, hub: HubAccess, files: dict[str, BlobRef], *, adapter: bool) -> None:
    """Raises what is missing, or too much, before anything is fetched."""
    if len(files) > MAX_FILES:
        raise TooManyFiles(f"{len(files):,}, and {MAX_FILES:,} are fetched at most")
    if not any(name.endswith(".safetensors") for name in files):
        _explain_missing_weights(_info(model, revision, hub))
    if adapter:
        missing = [name for name in (ADAPTER, ADAPTER_CONFIG) if name not in files]
        if missing:
            raise AdapterUnusable(f"there is no {missing[0]} in the repo")
    elif "config.json" not in files:
        raise ConfigMissing("there is no config.json in the repo")


def _explain_missing_weights(info: ModelInfo) -> NoReturn:
    """Raises WeightsPickled or WeightsMissing."""
    pickles = [file.rfilename for file in info.siblings or () if file.rfilename.endswith(PICKLES)]
    if pickles:
        raise WeightsPickled(", ".join(pickles[:3]))
    raise WeightsMissing("there is no safetensors file at the top of the repo")


def needed_files(info: ModelInfo) -> dict[str, BlobRef]:
    """The files of a model repo that an evaluation may read, and what they contain, as far as the Hub says it."""
    return {
        file.rfilename: BlobRef(file.size or 0, file.lfs.sha256 if file.lfs else "", file.blob_id or "")
        for file in info.siblings or ()
        if file.rfilename.rpartition("/")[0] in ("", TEMPLATES)
        and any(fnmatch(file.rfilename, pattern) for pattern in INCLUDED_PATTERNS)
        and not any(fnmatch(file.rfilename, bad) for bad in EXCLUDED_PATTERNS)
    }


def fetch_datasets(suite: Suite, hub: HubAccess, cache: Path, moved: Mapping[str, str] | None = None) -> SuiteQuestions:
    """All questions of `suite`, ready to be read offline. `moved` says where a board holds them: see `sources_of`.

    A folder of `cache` holds the questions of one suite at one set of commits: offline, the library that reads them
    cannot tell commits apart. Raises DatasetUnavailable.
    """
    sources = [_resolved(source, hub) for source in dataset_sources(suite, moved or {})]
    revisions = {source.repo: str(source.revision) for source in sources}
    key = json.dumps([source.model_dump() for source in sources], sort_keys=True)
    folder = cache / f"{suite.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    done = folder / "complete"
    if not done.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not done.exists():
                _fetch_elsewhere(sources, hub, folder)
                done.touch()
    found = {source.repo: moved.repo for source, moved in zip(suite.datasets, sources, strict=True)}
    return SuiteQuestions(folder / "datasets", revisions, {old: new for old, new in found.items() if old != new})


def dataset_sources(suite: Suite, moved: Mapping[str, str]) -> list[Dataset]:
    """The suite's datasets, some of them elsewhere: `moved` is the suite's repo → `repo`, or `repo@commit`.

    Another repo brings its own commit; what pins the content stays.
    """
    sources = []
    for source in suite.datasets:
        repo, _, revision = moved.get(source.repo, "").partition("@")
        keeps = not repo or (repo == source.repo and not revision)
        change = {} if keeps else {"repo": repo, "revision": revision or None}
        sources.append(source.model_copy(update=change))
    return sources


def _resolved(source: Dataset, hub: HubAccess) -> Dataset:
    """The source with a commit: its own, or the head of today."""
    if source.revision:
        return source
    try:
        sha = hub.api().dataset_info(source.repo, timeout=ASK_SECONDS).sha
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:  # gated ones are among them
        raise DatasetUnavailable(f"{source.repo}: {type(error).__name__}") from error
    return source.model_copy(update={"revision": sha})


def _fetch_elsewhere(sources: Iterable[Dataset], hub: HubAccess, folder: Path) -> None:
    """Run `workers.models.fetch_questions`; it reads its order from standard input, so no argument holds a token."""
    order = {
        "endpoint": hub.endpoint,
        "token": hub.token,
        "folder": str(folder),
        "sources": [source.model_dump() for source in sources],
        "parent": os.getpid(),
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("STEWARD_", "HF_", "REDIS_"))}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "workers.models.fetch_questions"],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=FETCH_SECONDS,
            check=False,
            env=environment | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetUnavailable(f"fetching the questions took more than {FETCH_SECONDS} seconds") from error
    if done.returncode != 0:
        wrote = done.stderr.decode("utf-8", "replace")
        raise fetch_failure(wrote, f"the fetching process ended with status {done.returncode}")


def fetch_failure(wrote: str, otherwise: str = "") -> Exception:
    """What the fetching of questions died of, from what it wrote last; `otherwise` says it where it wrote nothing.

    An error's text may run over many lines (the Hub's own words stand at its end): the line that names it counts.
    """
    lines = [line for line in wrote.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if _NAMED.match(line)), lines[-1] if lines else otherwise)
    return ConnectionError(last) if _AWAY.match(last) else DatasetUnavailable(last)
