"""Downloads models and questions from the Hub at pinned commits, before the child starts.

Downloads use the worker's token, which the child never gets. Questions are fetched by a separate process
(`workers.models.fetch_questions`), because the library that reads them is heavy.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
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

from leaderboard.suite_questions import Dataset
from leaderboard.suites import Suite, dataset_sources
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
from workers.models.blobs import BlobRef
from workers.models.checkpoint import ADAPTER, ADAPTER_CONFIG
from workers.models.disk_store import ModelStore, PinnedSnapshot, locked, sync_to_disk
from workers.models.mounted_files import copy_mounted

INCLUDED_PATTERNS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
"""Files that are downloaded: weights as safetensors, configs, tokenizers. No code, no pickles."""

MAX_FILES = 2_000
"""Limit on a model's files: each takes a call to the Hub, and the library's time grows with the number's square."""
EXCLUDED_PATTERNS = ("*.py", "*.bin", "*.pt", "*.pth", "*.pkl", "*.gguf")
TEMPLATES = "additional_chat_templates"
"""The only subfolder that is downloaded, for tokenizers; all other files are at the top of the repo."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
RESERVED_BYTES = 2 * 1024**3
"""Bytes of disk that stay free beside a model."""

FETCH_SECONDS = 3600
CALL_SECONDS = 30
"""Seconds that one answer of the Hub about a repo may take."""
GONE_SECONDS = 1.0
"""Seconds until the Hub is asked again about a model that it says is gone."""
_HUB_AWAY = re.compile(
    r"(?:httpx2?|httpcore2?|requests|urllib3)\.|(?:Connection|Timeout)\w*Error:|.*\bServer [Ee]rror\b"
)
"""Beginnings of the fetching process's error if the Hub is away: such an error says nothing about the suite."""
_ERROR_LINE = re.compile(r"(?:\w+\.)*\w*(?:Error|Exception|Timeout|NotFound)\w*: ")
"""The line of a traceback that names its error; it has no indentation."""
MAX_ERROR_LINE = 2_000
"""The most characters of a line of standard error that are read."""


@dataclass(frozen=True)
class SuiteQuestions:
    """The suite's questions on this machine: `folder` is a cache of `datasets`, or holds a folder with the files of
    each repo, for another evaluator than lm-eval. `revisions`: repo → commit.

    `moved` maps repos that the suite names to the board's copies that were used instead.
    """

    folder: Path
    revisions: dict[str, str]
    moved: dict[str, str] = field(default_factory=dict)


def fetch_model(model: str, revision: str, hub: HubAccess, cache: Path, *, max_bytes: int | None = None) -> Path:
    """Download `model` at the commit `revision` as `pin_model` does, but leave it unpinned. Return its folder."""
    snapshot = pin_model(model, revision, hub, cache, max_bytes=max_bytes)
    snapshot.release()
    return snapshot.folder


def pin_model(
    model: str,
    revision: str,
    hub: HubAccess,
    cache: Path,
    *,
    adapter: bool = False,
    max_bytes: int | None = None,
    volume: Path | None = None,
) -> PinnedSnapshot:
    """Download configs, tokenizer and safetensors of `model` at the commit `revision`, and pin them in the store.

    The store is in `cache` and holds at most `max_bytes`. An `adapter` has its own config file. Files in the folder
    `volume` are copied instead of downloaded if they equal the Hub's. Raises ModelGone,
    WeightsMissing and their subclasses, TooManyFiles, ConfigMissing, AdapterUnusable, DiskFull, BlobDiffers, and what
    the Hub's client raises while the Hub is away.
    """
    files = needed_files(_info(model, revision, hub))

    def download(folder: Path, names: list[str]) -> None:
        if volume is not None:
            names = copy_mounted(volume, folder, {name: files[name] for name in names})
        if not names:
            return
        snapshot_download(
            model,
            revision=revision,
            local_dir=folder,
            endpoint=hub.endpoint,
            token=hub.token or False,
            allow_patterns=[escape(name) for name in names],
        )

    _check_file_list(model, revision, hub, files, adapter=adapter)
    # Plain files in one folder, not links into huggingface_hub's cache: the sandbox shows the child only this folder.
    store = ModelStore(cache, max_bytes=max_bytes, reserved_bytes=RESERVED_BYTES)
    return store.pin(model, revision, files, download)


def _info(model: str, revision: str, hub: HubAccess) -> ModelInfo:
    """The Hub's record of the model, with its files. Raises ModelGone and its subclasses.

    ModelGone ends a request for good, and a server of the Hub that lags does not know a new repo or commit yet: so this
    function asks the Hub twice before it raises that.
    """
    try:
        return _answered_info(model, revision, hub)
    except ModelGated:
        raise
    except ModelGone:
        time.sleep(GONE_SECONDS)
        return _answered_info(model, revision, hub)


def _answered_info(model: str, revision: str, hub: HubAccess) -> ModelInfo:
    """The Hub's record of the model, from one call. Raises ModelGone and its subclasses.

    The Hub lists a gated repo's files to everyone. If their blobs are already in the store, from another model, no
    download would check for access, so it is checked here.
    """
    try:
        info = hub.api().model_info(model, revision=revision, files_metadata=True, timeout=CALL_SECONDS)
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
    """The head commit of `model`. Raises ModelGone."""
    return str(_info(model, "main", hub).sha)


def _check_file_list(model: str, revision: str, hub: HubAccess, files: dict[str, BlobRef], *, adapter: bool) -> None:
    """Raise an error before the download if files are missing or too many."""
    if len(files) > MAX_FILES:
        raise TooManyFiles(f"{len(files):,} files, and at most {MAX_FILES:,} are downloaded")
    if not any(name.endswith(".safetensors") for name in files):
        _explain_missing_weights(_info(model, revision, hub))
    if adapter:
        missing = [name for name in (ADAPTER, ADAPTER_CONFIG) if name not in files]
        if missing:
            raise AdapterUnusable(f"there is no {missing[0]} in the repo")
    elif "config.json" not in files:
        raise ConfigMissing("there is no config.json in the repo")


def _explain_missing_weights(info: ModelInfo) -> NoReturn:
    """Raise WeightsPickled or WeightsMissing."""
    pickles = [file.rfilename for file in info.siblings or () if file.rfilename.endswith(PICKLES)]
    if pickles:
        raise WeightsPickled(", ".join(pickles[:3]))
    raise WeightsMissing("there is no safetensors file at the top of the repo")


def needed_files(info: ModelInfo) -> dict[str, BlobRef]:
    """The files of a model repo that an evaluation may read, with the Hub's sizes and checksums."""
    return {
        file.rfilename: BlobRef(file.size or 0, file.lfs.sha256 if file.lfs else "", file.blob_id or "")
        for file in info.siblings or ()
        if file.rfilename.rpartition("/")[0] in ("", TEMPLATES)
        and any(fnmatch(file.rfilename, pattern) for pattern in INCLUDED_PATTERNS)
        and not any(fnmatch(file.rfilename, bad) for bad in EXCLUDED_PATTERNS)
    }


def fetch_datasets(suite: Suite, hub: HubAccess, cache: Path, moved: Mapping[str, str] | None = None) -> SuiteQuestions:
    """Download all questions of `suite` for offline use. `moved` names the board's copies: see `dataset_sources`.

    An evaluator other than lm-eval gets the repos' own files, each repo in a folder of its name.
    A folder of `cache` holds the questions of one suite at one set of commits, because offline the library that reads
    them cannot distinguish commits. Raises DatasetUnavailable.
    """
    sources = [_resolved(source, hub) for source in dataset_sources(suite, moved or {})]
    revisions = {source.repo: str(source.revision) for source in sources}
    as_files = suite.evaluator is not None
    key = json.dumps([source.model_dump() for source in sources] + ["files"] * as_files, sort_keys=True)
    folder = cache / f"{suite.name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    complete = folder / "complete"
    if not complete.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not complete.exists():
                _fetch_in_subprocess(sources, hub, folder, as_files=as_files)
                for path in (*folder.rglob("*"), folder):
                    if path.is_dir() or path.is_file():
                        sync_to_disk(path)
                complete.touch()
    repos = {source.repo: used.repo for source, used in zip(suite.datasets, sources, strict=True)}
    return SuiteQuestions(folder / "datasets", revisions, {old: new for old, new in repos.items() if old != new})


def _resolved(source: Dataset, hub: HubAccess) -> Dataset:
    """The source with a commit: its own, or the current head."""
    if source.revision:
        return source
    try:
        sha = hub.api().dataset_info(source.repo, timeout=CALL_SECONDS).sha
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:  # includes gated repos
        raise DatasetUnavailable(f"{source.repo}: {type(error).__name__}") from error
    return source.at(sha)


def _fetch_in_subprocess(sources: Iterable[Dataset], hub: HubAccess, folder: Path, *, as_files: bool) -> None:
    """Run `workers.models.fetch_questions`; the order goes to its standard input, because arguments are public."""
    order = {
        "endpoint": hub.endpoint,
        "token": hub.token,
        "folder": str(folder),
        "sources": [source.model_dump() for source in sources],
        "parent": os.getpid(),
        "as_files": as_files,
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("STEWARD_", "HF_", "REDIS_"))}
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "workers.models.fetch_questions"],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=FETCH_SECONDS,
            check=False,
            env=environment | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise DatasetUnavailable(f"fetching the questions took more than {FETCH_SECONDS} seconds") from error
    if process.returncode != 0:
        stderr = process.stderr.decode("utf-8", "replace")
        raise fetch_failure(stderr, f"the fetching process ended with status {process.returncode}")


def fetch_failure(stderr: str, default: str = "") -> Exception:
    """The error of the fetching process, from the last error line of its `stderr`; `default` if it wrote nothing.

    An error's text may have many lines and end with the Hub's message, so the line that names the error counts.
    """
    lines = [line[:MAX_ERROR_LINE] for line in stderr.splitlines() if line.strip()]
    last = next((line for line in reversed(lines) if _ERROR_LINE.match(line)), lines[-1] if lines else default)
    if _HUB_AWAY.match(last):
        return ConnectionError(last.removeprefix("ConnectionError: "))
    return DatasetUnavailable(last)
