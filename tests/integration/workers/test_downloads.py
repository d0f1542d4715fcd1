"""Models and questions, downloaded from a real Hub at pinned commits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError

from leaderboard.suite_questions import Dataset
from leaderboard.suites import dataset_sources
from localhub.testing import LocalHub
from tests.support.workers.evaluation_inputs import MODEL, QUESTIONS, STARTER, WORLD, access, upload, upload_questions
from workers.errors import ConfigMissing, DatasetUnavailable, DiskFull, ModelGone, TooManyFiles, WeightsMissing
from workers.models import downloads
from workers.models.downloads import fetch_datasets, fetch_model, pin_model

FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
    "modeling_tiny.py": b"raise SystemExit",
    "onnx/model.json": b"{}",
    "notes/of/a/run.json": b"{}",
    "README.md": b"---\nlicense: mit\n---\n# tiny",
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A separate Hub for each test."""
    with LocalHub(tmp_path / "hub", WORLD) as running:
        yield running


def names(folder: Path) -> set[str]:
    """The files in a folder, without the client's metadata."""
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file() and ".cache" not in f.parts}


def test_neither_code_nor_pickles_are_fetched(hub: LocalHub, tmp_path: Path) -> None:
    """Code and pickles are never downloaded."""
    revision = upload(hub, MODEL, FILES)
    folder = fetch_model(MODEL, revision, access(hub), tmp_path / "models")
    assert names(folder) == {"config.json", "model.safetensors", "tokenizer.json"}
    assert not any(file.is_symlink() for file in folder.iterdir())


def test_a_heap_of_files_is_not_fetched(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repo with too many files is refused before the download."""
    monkeypatch.setattr(downloads, "MAX_FILES", 10)
    revision = upload(hub, MODEL, FILES | {f"{number}.json": b"{}" for number in range(8)})
    with pytest.raises(TooManyFiles, match="11 files, and at most 10"):
        fetch_model(MODEL, revision, access(hub), tmp_path / "models")


def test_the_commit_that_was_submitted_is_the_one_that_is_fetched(hub: LocalHub, tmp_path: Path) -> None:
    """The submitted commit is downloaded, even after a later push."""
    revision = upload(hub, MODEL, FILES)
    upload(hub, MODEL, {"config.json": b'{"changed": true}'})
    folder = fetch_model(MODEL, revision, access(hub), tmp_path / "models")
    assert (folder / "config.json").read_bytes() == b"{}"


def test_a_model_that_is_here_is_not_fetched_again(hub: LocalHub, tmp_path: Path) -> None:
    """A stored model costs one call to the Hub, and no download."""
    revision = upload(hub, MODEL, FILES)
    fetch_model(MODEL, revision, access(hub), tmp_path / "models")
    hub.state.faults.fail("GET */resolve/*", times=None)
    assert fetch_model(MODEL, revision, access(hub), tmp_path / "models").is_dir()


def test_a_mounted_model_is_copied_and_only_the_rest_is_fetched(hub: LocalHub, tmp_path: Path) -> None:
    """The worker copies files of the right commit from a mounted repo, and downloads only the others."""
    revision, volume = upload(hub, MODEL, FILES), tmp_path / "volume"
    volume.mkdir()
    (volume / "model.safetensors").write_bytes(FILES["model.safetensors"])
    (volume / "config.json").write_bytes(b"[]")
    hub.state.faults.fail("*/resolve/*/model.safetensors", times=None)
    folder = pin_model(MODEL, revision, access(hub), tmp_path / "models", volume=volume).folder
    assert (folder / "config.json").read_bytes() == (folder / "tokenizer.json").read_bytes() == b"{}"
    for name, data in FILES.items():
        (volume / name).parent.mkdir(parents=True, exist_ok=True)
        (volume / name).write_bytes(data)
    hub.state.faults.fail("*/resolve/*", times=None)
    folder = pin_model(MODEL, revision, access(hub), tmp_path / "others", volume=volume).folder
    assert names(folder) == {"config.json", "model.safetensors", "tokenizer.json"}


@pytest.mark.parametrize(("missing", "error"), [("model.safetensors", WeightsMissing), ("config.json", ConfigMissing)])
def test_missing_files_are_reported_before_the_download(
    hub: LocalHub, tmp_path: Path, missing: str, error: type[Exception]
) -> None:
    """A repo without weights, or without a config, raises its own error before the download."""
    revision = upload(hub, MODEL, {name: data for name, data in FILES.items() if name != missing})
    with pytest.raises(error):
        fetch_model(MODEL, revision, access(hub), tmp_path / "models")


def test_a_missing_repo_or_commit_is_reported(hub: LocalHub, tmp_path: Path) -> None:
    """A repo and a commit that do not exist raise ModelGone."""
    upload(hub, MODEL, FILES)
    for model, revision in ((MODEL, "1" * 40), ("ada/deleted", "1" * 40)):
        with pytest.raises(ModelGone):
            fetch_model(model, revision, access(hub), tmp_path / "models")


def test_a_model_that_does_not_fit_is_not_begun(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that does not fit on the disk is not downloaded."""
    revision = upload(hub, MODEL, FILES)
    monkeypatch.setattr(downloads, "RESERVED_BYTES", 1 << 60)
    with pytest.raises(DiskFull):
        fetch_model(MODEL, revision, access(hub), tmp_path / "models")


def test_questions_are_fetched_once_for_each_commit(hub: LocalHub, tmp_path: Path) -> None:
    """Questions are downloaded once per commit, with all configs; a second call downloads no file."""
    revision = upload_questions(hub)
    questions = fetch_datasets(STARTER, access(hub), tmp_path / "cache")
    assert questions.revisions == {QUESTIONS: revision}
    cached = {path.name for path in (questions.folder / "steward-suites___starter").iterdir() if path.is_dir()}
    assert cached == set(STARTER.datasets[0].configs)
    hub.state.faults.fail("GET */resolve/*", times=None)
    assert fetch_datasets(STARTER, access(hub), tmp_path / "cache") == questions


def test_other_questions_than_the_suite_pins_are_refused(hub: LocalHub, tmp_path: Path) -> None:
    """Questions that differ from the suite's digest are refused."""
    upload_questions(hub, {"data/navigation/test.jsonl": b'{"input": "?", "target": "Yes"}\n'})
    with pytest.raises(DatasetUnavailable, match="does not hold the questions that the suite pins"):
        fetch_datasets(STARTER, access(hub), tmp_path / "cache")


def test_questions_that_are_not_there_are_our_fault(hub: LocalHub, tmp_path: Path) -> None:
    """A missing repo of questions raises DatasetUnavailable, which is not the model's fault."""
    with pytest.raises(DatasetUnavailable, match=QUESTIONS):
        fetch_datasets(STARTER, access(hub), tmp_path / "cache")


def test_no_questions_are_fetched_for_a_worker_that_ended() -> None:
    """The process that downloads questions exits if its parent process ended while it started."""
    order = {"endpoint": "", "token": None, "folder": "", "sources": [], "parent": 0}
    command = [sys.executable, "-P", "-m", "workers.models.fetch_questions"]
    process = subprocess.run(command, input=json.dumps(order).encode(), check=False)
    assert process.returncode == 1


def test_a_hub_that_is_away_is_no_fault_of_the_suites_questions(hub: LocalHub, tmp_path: Path) -> None:
    """If the Hub is away, the error says so, and not that the questions are missing."""
    upload_questions(hub)
    hub.state.faults.fail("GET /api/datasets/*", status=503, times=None)
    with pytest.raises(HfHubHTTPError):
        fetch_datasets(STARTER, access(hub), tmp_path / "cache")


@pytest.mark.parametrize(
    ("wrote", "kind"),
    [
        ("httpx2.RemoteProtocolError: Server disconnected without sending a response.", ConnectionError),
        ("ConnectionError: Couldn't reach 'a/b' on the Hub (ReadTimeout)", ConnectionError),
        ("huggingface_hub.errors.HfHubHTTPError: Server error '503 Service Unavailable' for url", ConnectionError),
        ("datasets.exceptions.DatasetNotFoundError: Dataset 'a/b' doesn't exist on the Hub", DatasetUnavailable),
        (
            "Traceback (most recent call last):\n  raise\n"
            "huggingface_hub.errors.HfHubHTTPError: Server error '503 Service Unavailable' for url 'http://hub/api'\n"
            "For more information check: https://developer.mozilla.org/503\n\n"
            "Internal Error - We're working hard to fix this as soon as possible!\n",
            ConnectionError,
        ),
        ("ConnectionError: 429 Too Many Requests for /datasets/a/b/resolve/c/README.md", ConnectionError),
        ("the fetching process was killed", DatasetUnavailable),
    ],
)
def test_a_hub_that_is_away_is_no_fault_of_the_questions(wrote: str, kind: type[Exception]) -> None:
    """Errors of the fetching process are classified as the Hub's or the suite's."""
    assert type(downloads.fetch_failure(wrote)) is kind


def test_no_token_reaches_the_cache(hub: LocalHub, tmp_path: Path) -> None:
    """The cache, which children read, holds no token."""
    upload_questions(hub)
    fetch_datasets(STARTER, access(hub), tmp_path / "cache")
    files = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert files
    assert not any(b"hf_worker" in file.read_bytes() for file in files)


def test_a_board_may_hold_the_questions_elsewhere() -> None:
    """A board's copy replaces repo and commit of the questions; the digest stays."""
    (moved,) = dataset_sources(STARTER, {QUESTIONS: f"board/questions@{'2' * 40}"})
    assert (moved.repo, moved.revision, moved.content) == ("board/questions", "2" * 40, STARTER.datasets[0].content)
    (same,) = dataset_sources(STARTER, {})
    assert isinstance(same, Dataset)
    assert same.repo == QUESTIONS


def test_a_model_that_was_made_private_is_gone_for_us(hub: LocalHub, tmp_path: Path) -> None:
    """A private model counts as gone."""
    revision = upload(hub, "ada/secret", FILES)
    HfApi(hub.url, "hf_ada").update_repo_settings("ada/secret", private=True)
    with pytest.raises(ModelGone):
        fetch_model("ada/secret", revision, access(hub), tmp_path / "models")
