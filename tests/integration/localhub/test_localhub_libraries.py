"""The libraries that people use on top of the client: datasets, transformers, HfFileSystem, snapshots, schedulers."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import CommitScheduler, HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError

from localhub.testing import LocalHub
from tests.support.localhub import client_libraries_script
from tests.support.localhub.hub_accounts import TOKENS, fresh, make_repo, put

LIBRARIES = pytest.mark.long(
    "five seconds of processor time; test_publication reads by `datasets`, workers load models"
)
CARD = """---
configs:
- config_name: one
  data_files:
  - {split: train, path: one/train.parquet}
- config_name: two
  data_files:
  - {split: test, path: two/*.parquet}
---
# Numbers
"""


def parquet(numbers: list[int]) -> bytes:
    """A parquet file with one column `n`."""
    buffer = io.BytesIO()
    pq.write_table(pa.table({"n": numbers}), buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def numbers(ada: HfApi) -> str:
    """A dataset with two configurations; the tag v1 has other numbers."""
    repo_id = make_repo(ada)
    rows = "".join(json.dumps({"n": n}) + "\n" for n in (4, 5))
    files = {"README.md": CARD, "one/train.parquet": parquet([1]), "two/a.parquet": parquet([7, 8, 9])}
    put(ada, repo_id, {**files, "rows.jsonl": rows})
    ada.create_tag(repo_id, tag="v1", repo_type="dataset")
    put(ada, repo_id, {"one/train.parquet": parquet([1, 2, 3])})
    return repo_id


@pytest.fixture(scope="module")
def found(hub: LocalHub, numbers: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The output of `client_libraries_script.py`, run in its own process."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))},
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKENS["ada"],
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    script = Path(client_libraries_script.__file__)
    names = (numbers, f"ada/{fresh('pushed')}", f"ada/{fresh('tiny')}")
    result = subprocess.run(
        [sys.executable, str(script), *names, str(home)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return dict(json.loads(result.stdout.splitlines()[-1]))


@LIBRARIES
def test_load_dataset(found: dict[str, Any]) -> None:
    """`datasets` reads configurations whole and streamed, an older revision by its tag, and a file by `hf://`."""
    assert found["configs"] == ["one", "two"] and found["splits"] == ["test"]
    assert (found["whole"], found["streamed"], found["old"]) == ([1, 2, 3], [7, 8, 9], [1])
    assert found["lines"] == [4, 5]


@LIBRARIES
def test_push_to_hub(found: dict[str, Any]) -> None:
    """`Dataset.push_to_hub` to a new private repo is read back."""
    assert found["pushed"] == [1, 2, 3]


@LIBRARIES
def test_auto_model(found: dict[str, Any]) -> None:
    """`transformers` loads a pushed tiny Llama with the same weights; the Hub counts its parameters from the file."""
    assert found["equal"] is True and found["architecture"] == ["LlamaForCausalLM"]
    assert found["parameters"] == found["reported"]


def test_snapshot_download(ada: HfApi, numbers: str, cache: Path) -> None:
    """`snapshot_download` fetches every file of the newest commit, or the files of a tag that match a pattern."""
    where = snapshot_download(numbers, repo_type="dataset", endpoint=ada.endpoint, token=TOKENS["ada"], cache_dir=cache)
    files = {str(p.relative_to(where)) for p in Path(where).rglob("*") if p.is_file()}
    assert files == {".gitattributes", "README.md", "one/train.parquet", "two/a.parquet", "rows.jsonl"}
    assert Path(where).name == ada.dataset_info(numbers).sha
    old = snapshot_download(
        numbers,
        repo_type="dataset",
        endpoint=ada.endpoint,
        cache_dir=cache,
        revision="v1",
        allow_patterns="one/*",
        token=False,
    )
    assert pq.read_table(Path(old) / "one/train.parquet")["n"].to_pylist() == [1]
    assert not (Path(old) / "two").exists()


def test_hf_hub_download_and_its_cache(ada: HfApi, cache: Path) -> None:
    """`hf_hub_download` reads a pull request's file, fetches a changed file again and remembers a missing one."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "one"})
    put(ada, repo_id, {"a.txt": "pull"}, create_pr=True)

    def get(name: str = "a.txt", **more: Any) -> str:
        options = {"repo_type": "dataset", "endpoint": ada.endpoint, "cache_dir": cache, "token": False, **more}
        return Path(hf_hub_download(repo_id, name, **options)).read_text()

    assert get() == get() == "one"
    assert get(revision="refs/pr/1") == "pull"
    put(ada, repo_id, {"a.txt": "two"})
    assert get() == "two"
    with pytest.raises(EntryNotFoundError):
        get("none.txt")
    assert list(cache.rglob(".no_exist/*/none.txt"))


def test_hf_file_system(ada: HfApi, hub: LocalHub) -> None:
    """`HfFileSystem` lists, globs, reads, writes, copies and removes files by path, also at a revision."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"d/a.csv": "1,2\n", "d/b.csv": "3,4\n", "c.txt": "c"})
    files = HfFileSystem(endpoint=hub.url, token=TOKENS["ada"], skip_instance_cache=True)
    root = f"datasets/{repo_id}"
    assert sorted(files.ls(f"{root}/d", detail=False)) == [f"{root}/d/a.csv", f"{root}/d/b.csv"]
    assert sorted(files.glob(f"{root}/**/*.csv")) == [f"{root}/d/a.csv", f"{root}/d/b.csv"]
    assert files.read_text(f"{root}/d/a.csv") == "1,2\n" and files.isdir(f"{root}/d")
    with files.open(f"{root}/new/n.txt", "w") as out:
        out.write("written")
    assert files.read_text(f"{root}/new/n.txt") == "written"
    files.cp_file(f"{root}/c.txt", f"{root}/copied.txt")
    files.rm(f"{root}/d/a.csv")
    files.invalidate_cache()
    assert files.exists(f"{root}/copied.txt") and not files.exists(f"{root}/d/a.csv")
    put(ada, repo_id, {"c.txt": "pull"}, create_pr=True)
    assert files.read_text(f"{root}@refs/pr/1/c.txt") == "pull"
    assert files.cat_file(f"{root}/d/b.csv", start=2, end=3) == b"4"


def test_commit_scheduler(ada: HfApi, tmp_path: Path) -> None:
    """A scheduler pushes a folder, and only what has changed since the last push."""
    repo_id = f"ada/{fresh('scheduled')}"
    scheduler = CommitScheduler(
        repo_id=repo_id, folder_path=tmp_path, every=60, path_in_repo="data", repo_type="dataset", hf_api=ada
    )
    try:
        with scheduler.lock:
            (tmp_path / "log.jsonl").write_text('{"a": 1}\n')
        scheduler.trigger().result(timeout=20)
        assert "data/log.jsonl" in ada.list_repo_files(repo_id, repo_type="dataset")
        commits = len(ada.list_repo_commits(repo_id, repo_type="dataset"))
        scheduler.trigger().result(timeout=20)
        assert len(ada.list_repo_commits(repo_id, repo_type="dataset")) == commits
    finally:
        scheduler.stop()


def test_repo_cards(ada: HfApi, hub: LocalHub) -> None:
    """The metadata of an uploaded model card are part of the model's info."""
    from huggingface_hub import ModelCard, ModelCardData

    repo_id = make_repo(ada, "model")
    card = ModelCard.from_template(ModelCardData(license="mit", tags=["tiny"]), model_id="tiny")
    ada.upload_file(path_or_fileobj=str(card).encode(), path_in_repo="README.md", repo_id=repo_id)
    assert ada.model_info(repo_id).card_data.license == "mit"  # type: ignore[union-attr]


def test_verify_repo_checksums(ada: HfApi, numbers: str, cache: Path) -> None:
    """The hashes in the tree are those of the downloaded files."""
    snapshot_download(numbers, repo_type="dataset", endpoint=ada.endpoint, token=False, cache_dir=cache)
    result = ada.verify_repo_checksums(numbers, repo_type="dataset", cache_dir=cache)
    assert result.checked_count == 5 and not result.mismatches
