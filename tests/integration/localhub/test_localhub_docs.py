"""The examples in docs/localhub.md work as written."""

import re
from pathlib import Path
from typing import Any

import httpx
import yaml
from huggingface_hub import HfApi

from localhub.testing import LocalHub


def blocks(project: Path, language: str) -> list[str]:
    """The fenced blocks of the document in one language."""
    text = (project / "docs" / "localhub.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_world_in_the_document_can_be_built(project: Path, tmp_path: Path) -> None:
    """localhub starts with the example world, and has the repos, webhooks, tokens and limits described in it."""
    (example,) = blocks(project, "yaml")
    with LocalHub(tmp_path, yaml.safe_load(example)) as hub:
        api = HfApi(endpoint=hub.url, token="hf_ada")
        info = api.dataset_info("board/old-name", files_metadata=True)
        files = {s.rfilename: s for s in info.siblings or []}
        assert info.id == "board/requests" and info.private is False
        assert files["w.bin"].size == 2 and files["big.bin"].lfs is not None
        refs = api.list_repo_refs("board/requests", repo_type="dataset")
        assert {b.name for b in refs.branches} == {"main", "dev"} and [t.name for t in refs.tags] == ["v1"]
        assert [w.url for w in api.list_webhooks()] == ["http://127.0.0.1:7860/webhooks/hub"]
        scope = HfApi(endpoint=hub.url, token="hf_worker").whoami()["auth"]["accessToken"]["fineGrained"]
        assert scope["global"] == ["discussion.write"]
        assert "RateLimit" in httpx.get(f"{hub.url}/api/users/ada/overview").headers


def test_the_example_test_in_the_document(project: Path, tmp_path: Path) -> None:
    """The first Python block of the document is a test that passes."""
    names: dict[str, Any] = {}
    exec(blocks(project, "python")[0], names)  # noqa: S102 (the document's own code)
    names["test_my_bot"](tmp_path)


def test_every_admin_route_is_in_the_document(project: Path, tmp_path: Path) -> None:
    """The document names every route of the admin API."""
    text = (project / "docs" / "localhub.md").read_text()
    with LocalHub(tmp_path) as hub:
        paths = httpx.get(f"{hub.url}/openapi.json").json()["paths"]
    missing = [p for p in paths if p.startswith("/_admin") and re.sub(r"\{\w+\}", "{id}", p) not in _plain(text)]
    assert missing == []


def _plain(text: str) -> str:
    return text.replace("[/{id}]", "/{id}").replace("{name}", "{id}")
