"""The info of a repo: its fields, its revisions and `expand`."""

import json

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from tests.support.localhub.hub_accounts import make_repo, put, safetensors_bytes

CARD = """---
license: apache-2.0
language: [en]
tags: [tiny, leaderboard]
pipeline_tag: text-generation
library_name: transformers
base_model: ada/parent
---
# A tiny model
"""
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 8}


@pytest.fixture(scope="module")
def model(ada: HfApi) -> str:
    """A model repo with a card, a config and real safetensors headers in two shards."""
    repo_id = make_repo(ada, "model")
    files = {
        "README.md": CARD,
        "config.json": json.dumps(CONFIG),
        "model-00001-of-00002.safetensors": safetensors_bytes({"a": ("F32", [4, 8]), "b": ("BF16", [3])}),
        "model-00002-of-00002.safetensors": safetensors_bytes({"c": ("BF16", [5])}),
    }
    put(ada, repo_id, files, "model")
    return repo_id


def test_a_model_has_the_fields_that_admission_reads(ada: HfApi, model: str) -> None:
    """A model's info has sha, author, card, tags, flags, likes, dates and siblings without any parameter."""
    info = ada.model_info(model)
    newest = ada.list_repo_commits(model)[0]
    assert (info.id, info.author, info.sha) == (model, "ada", newest.commit_id)
    assert (info.private, info.gated, info.disabled, info.likes) == (False, False, False, 0)
    assert info.card_data is not None and info.card_data.license == "apache-2.0"
    assert info.pipeline_tag == "text-generation" and info.library_name == "transformers"
    assert {"tiny", "leaderboard", "license:apache-2.0", "safetensors"} <= set(info.tags or [])
    assert info.created_at is not None and info.last_modified is not None
    assert info.created_at <= info.last_modified
    assert abs((info.last_modified - newest.created_at).total_seconds()) < 1.001
    names = {s.rfilename for s in info.siblings or []}
    assert {"README.md", "config.json", "model-00001-of-00002.safetensors", ".gitattributes"} <= names
    assert all(s.size is None and s.blob_id is None and s.lfs is None for s in info.siblings or [])


def test_safetensors_counts_come_from_the_headers_of_the_files(ada: HfApi, model: str) -> None:
    """The numbers of parameters per dtype are summed over all safetensors files."""
    safetensors = ada.model_info(model).safetensors
    assert safetensors is not None
    assert safetensors.parameters == {"F32": 32, "BF16": 8} and safetensors.total == 40


def test_the_client_reads_the_same_headers_by_range(ada: HfApi) -> None:
    """`get_safetensors_metadata` fetches the header of a file through resolve."""
    repo_id = make_repo(ada, "model")
    put(ada, repo_id, {"model.safetensors": safetensors_bytes({"w": ("F16", [2, 3])})}, "model")
    assert ada.get_safetensors_metadata(repo_id).parameter_count == {"F16": 6}


def test_config_shows_architectures_and_type(ada: HfApi, model: str) -> None:
    """`config` repeats what config.json says about the architecture."""
    config = ada.model_info(model).config
    assert config is not None
    assert config["architectures"] == ["LlamaForCausalLM"] and config["model_type"] == "llama"


def test_a_repo_with_broken_files_still_has_an_info(ada: HfApi) -> None:
    """Corrupted weights and a config that is not JSON leave the fields out; nothing fails."""
    repo_id = make_repo(ada, "model")
    put(ada, repo_id, {"model.safetensors": b"\xff" * 64, "config.json": "{not json"}, "model")
    info = ada.model_info(repo_id)
    assert info.safetensors is None and not (info.config or {}).get("architectures")


def test_blobs_gives_sizes_and_hashes(ada: HfApi, model: str) -> None:
    """With `files_metadata` each sibling has size and git id; LFS files have their sha256."""
    siblings = {s.rfilename: s for s in ada.model_info(model, files_metadata=True).siblings or []}
    card = siblings["README.md"]
    assert card.size == len(CARD.encode()) and len(card.blob_id or "") == 40 and card.lfs is None
    weights = siblings["model-00002-of-00002.safetensors"]
    assert weights.lfs is not None and weights.size == weights.lfs.size
    assert len(weights.lfs.sha256) == 64 and 100 < weights.lfs.pointer_size < 200


def test_info_of_a_revision(ada: HfApi) -> None:
    """`sha` and siblings are those of the branch, tag, commit or pull request asked for."""
    repo_id = make_repo(ada)
    first = put(ada, repo_id, {"a.txt": "a"}).oid
    pull = put(ada, repo_id, {"b.txt": "b"}, create_pr=True)
    assert ada.dataset_info(repo_id, revision=first).sha == first
    at_pull = ada.dataset_info(repo_id, revision="refs/pr/1")
    assert at_pull.sha == pull.oid
    assert "b.txt" in [s.rfilename for s in at_pull.siblings or []]
    with pytest.raises(RevisionNotFoundError):
        ada.dataset_info(repo_id, revision="no-such-branch")
    with pytest.raises(RevisionNotFoundError):
        ada.dataset_info(repo_id, revision="0" * 40)


def test_expand_gives_only_what_was_asked_for(ada: HfApi, http: httpx.Client, model: str) -> None:
    """`expand` is repeatable and replaces the default fields."""
    info = ada.model_info(model, expand=["safetensors", "gated", "sha"])
    assert info.safetensors is not None and info.gated is False and info.sha
    assert info.siblings is None and info.card_data is None
    raw = http.get(f"/api/models/{model}", params=[("expand", "likes"), ("expand", "createdAt")]).json()
    assert set(raw) - {"_id", "id"} == {"likes", "createdAt"}


@pytest.mark.parametrize(
    ("repo_type", "fields"),
    [
        ("model", ["author", "cardData", "config", "createdAt", "disabled", "downloads", "downloadsAllTime", "gated"]),
        ("model", ["lastModified", "library_name", "likes", "pipeline_tag", "private", "safetensors", "sha", "tags"]),
        ("model", ["siblings", "usedStorage", "trendingScore", "transformersInfo", "gguf", "spaces", "model-index"]),
        ("dataset", ["author", "cardData", "citation", "createdAt", "description", "disabled", "downloads", "gated"]),
        ("dataset", ["lastModified", "likes", "private", "sha", "siblings", "tags", "usedStorage", "trendingScore"]),
        ("space", ["author", "cardData", "createdAt", "datasets", "disabled", "lastModified", "likes", "models"]),
        ("space", ["private", "runtime", "sdk", "sha", "siblings", "subdomain", "tags", "usedStorage"]),
    ],
)
def test_every_documented_field_may_be_expanded(ada: HfApi, repo_type: str, fields: list[str]) -> None:
    """Every documented field can be requested by `expand`."""
    repo_id = make_repo(ada, repo_type, **({"space_sdk": "static"} if repo_type == "space" else {}))
    assert ada.repo_info(repo_id, repo_type=repo_type, expand=fields).id == repo_id


def test_an_invalid_expand_is_400_with_the_options(http: httpx.Client, model: str) -> None:
    """An unknown field in `expand` is 400; the message lists the valid fields and the position of the wrong one."""
    answer = http.get(f"/api/models/{model}", params={"expand": "foo"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error.startswith("✖ Invalid option: expected one of ") and '"cardData"' in error
    assert "→ at expand[0]" in error


def test_dataset_and_space_fields(ada: HfApi, http: httpx.Client) -> None:
    """The info of a dataset has `gated` and `downloads`, that of a Space `sdk` and `subdomain`."""
    dataset = make_repo(ada)
    raw = http.get(f"/api/datasets/{dataset}").json()
    assert raw["gated"] is False and raw["downloads"] == 0 and len(raw["_id"]) == 24
    space = make_repo(ada, "space", space_sdk="static")
    info = ada.space_info(space)
    assert info.sdk == "static" and info.subdomain == space.replace("/", "-")


def test_card_tags_follow_the_card(ada: HfApi) -> None:
    """A commit that changes README.md changes cardData and tags at once."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"README.md": "---\ntags: [one]\n---\n"})
    assert "one" in (ada.dataset_info(repo_id).tags or [])
    put(ada, repo_id, {"README.md": "---\ntags: [two]\n---\n"})
    tags = ada.dataset_info(repo_id).tags or []
    assert "two" in tags and "one" not in tags


def test_existence_helpers(ada: HfApi) -> None:
    """The client's `repo_exists`, `revision_exists` and `file_exists` answer correctly."""
    repo_id = make_repo(ada)
    assert ada.repo_exists(repo_id, repo_type="dataset") and not ada.repo_exists("ada/none")
    assert ada.revision_exists(repo_id, "main", repo_type="dataset")
    assert not ada.revision_exists(repo_id, "none", repo_type="dataset")
    assert ada.file_exists(repo_id, ".gitattributes", repo_type="dataset")
    assert not ada.file_exists(repo_id, "none.txt", repo_type="dataset")


def test_blobs_and_expand_exclude_each_other(http: httpx.Client, model: str) -> None:
    """A request with both `expand` and `blobs` is 400."""
    answer = http.get(f"/api/models/{model}", params={"expand": "sha", "blobs": "true"})
    assert answer.status_code == 400 and answer.json()["error"]


def test_security_status_may_be_asked_for(ada: HfApi, model: str) -> None:
    """The info of a model accepts `securityStatus=true`."""
    assert ada.model_info(model, securityStatus=True).id == model


def test_info_errors_reach_the_client_as_its_own_exceptions(ada: HfApi) -> None:
    """The info of a dataset, requested as a model, is `RepoNotFound`."""
    repo_id = make_repo(ada)
    with pytest.raises(HfHubHTTPError) as caught:
        ada.model_info(repo_id)
    assert caught.value.response.headers["X-Error-Code"] == "RepoNotFound"
