"""Commits with every kind of operation, their answers and their refusals."""

import base64
import json
from typing import Any

import httpx
import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

from tests.support.localhub.hub_accounts import head, make_repo, put


def ndjson(*lines: dict[str, Any]) -> bytes:
    """A commit body, one JSON object a line."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def header(summary: str = "Raw commit", **more: Any) -> dict[str, Any]:
    """The first line of a commit body."""
    return {"key": "header", "value": {"summary": summary, "description": "", **more}}


def text(http: httpx.Client, repo_id: str, path: str, revision: str = "main") -> str | None:
    """Return the content of a dataset's file, or None if the file does not exist."""
    answer = http.get(f"/datasets/{repo_id}/resolve/{revision.replace('/', '%2F')}/{path}")
    return answer.text if answer.status_code == 200 else None


def test_the_answer_to_a_commit(ada: HfApi, http: httpx.Client) -> None:
    """The answer to a commit has `commitOid` and `commitUrl`, from which the client builds its CommitInfo."""
    repo_id = make_repo(ada)
    info = put(ada, repo_id, {"a.txt": "a"}, commit_message="Add a", commit_description="Why not")
    assert info.oid == head(ada, repo_id)
    assert info.commit_url == f"{ada.endpoint}/datasets/{repo_id}/commit/{info.oid}"
    assert info.repo_url.repo_id == repo_id and info.pr_url is None
    answer = http.post(f"/api/datasets/{repo_id}/commit/main", content=ndjson(header()))
    if answer.status_code == 200:  # an empty commit may be refused; if it is made, the answer is complete
        assert {"success", "commitOid", "commitUrl", "hookOutput"} <= set(answer.json())


def test_add_delete_and_delete_folder_in_one_commit(ada: HfApi, http: httpx.Client) -> None:
    """One commit can add a file, delete a file and delete a folder."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a", "old/1.txt": "1", "old/sub/2.txt": "2", "keep/k.txt": "k"})
    ada.create_commit(
        repo_id,
        [
            CommitOperationAdd("b/c.txt", b"new"),
            CommitOperationDelete("a.txt"),
            CommitOperationDelete("old/"),
        ],
        commit_message="Reorganise",
        repo_type="dataset",
    )
    files = set(ada.list_repo_files(repo_id, repo_type="dataset"))
    assert files == {".gitattributes", "b/c.txt", "keep/k.txt"}
    assert next(c.title for c in ada.list_repo_commits(repo_id, repo_type="dataset")) == "Reorganise"
    assert text(http, repo_id, "b/c.txt") == "new"


def test_delete_helpers(ada: HfApi) -> None:
    """The client's `delete_file`, `delete_files` with patterns and `delete_folder` delete what they name."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "a", "b.csv": "b", "c.csv": "c", "d/e.txt": "e"})
    ada.delete_file("a.txt", repo_id, repo_type="dataset")
    ada.delete_files(repo_id, ["*.csv"], repo_type="dataset")
    ada.delete_folder("d", repo_id, repo_type="dataset")
    assert ada.list_repo_files(repo_id, repo_type="dataset") == [".gitattributes"]


def test_deleting_a_missing_file_fails(ada: HfApi) -> None:
    """Deleting a missing file is 404 `EntryNotFound` with the message of the Hub, and nothing is committed."""
    repo_id = make_repo(ada)
    before = head(ada, repo_id)
    with pytest.raises(HfHubHTTPError, match="A file with this name doesn't exist") as caught:
        ada.delete_file("none.txt", repo_id, repo_type="dataset")
    assert caught.value.response.headers["X-Error-Code"] == "EntryNotFound"
    assert head(ada, repo_id) == before


def test_unchanged_files_make_no_commit(ada: HfApi) -> None:
    """Preupload returns the current id of each file, so that the client leaves out unchanged files."""
    repo_id = make_repo(ada)
    first = put(ada, repo_id, {"a.txt": "a", "m.bin": b"\0\1"})
    again = put(ada, repo_id, {"a.txt": "a", "m.bin": b"\0\1"})
    assert again.oid == first.oid
    assert len(ada.list_repo_commits(repo_id, repo_type="dataset")) == 2


def test_raw_operations_of_the_specification(ada: HfApi, http: httpx.Client) -> None:
    """A commit takes UTF-8 content, `deletedEntry` for a file or a folder, and `oldPath` for a rename."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"gone.txt": "g", "dir/x.txt": "x", "from.txt": "moved"})
    body = ndjson(
        header(),
        {"key": "file", "value": {"path": "é.txt", "content": "naïve"}},
        {"key": "file", "value": {"path": "to.txt", "oldPath": "from.txt", "size": 5, "content": "moved"}},
        {"key": "deletedEntry", "value": {"path": "gone.txt"}},
        {"key": "deletedEntry", "value": {"path": "dir"}},
    )
    answer = http.post(
        f"/api/datasets/{repo_id}/commit/main", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True
    assert set(ada.list_repo_files(repo_id, repo_type="dataset")) == {".gitattributes", "é.txt", "to.txt"}
    assert text(http, repo_id, "%C3%A9.txt") == "naïve"


def test_the_legacy_json_body(ada: HfApi, http: httpx.Client) -> None:
    """A commit may be one JSON object with `files`, `deletedEntries` and `lfsFiles`."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"old.txt": "o"})
    body = {
        "summary": "Legacy",
        "description": "D",
        "parentCommit": head(ada, repo_id),
        "files": [{"path": "n.txt", "content": base64.b64encode(b"N").decode(), "encoding": "base64"}],
        "deletedEntries": [{"path": "old.txt"}],
        "lfsFiles": [],
    }
    answer = http.post(f"/api/datasets/{repo_id}/commit/main", json=body)
    assert answer.status_code == 200, answer.text
    assert text(http, repo_id, "n.txt") == "N" and text(http, repo_id, "old.txt") is None
    assert ada.list_repo_commits(repo_id, repo_type="dataset")[0].title == "Legacy"


def test_a_stale_parent_commit_is_412(ada: HfApi) -> None:
    """A commit with an outdated `parentCommit` is 412 with the message of the Hub, and nothing is written."""
    repo_id = make_repo(ada)
    parent = head(ada, repo_id)
    first = put(ada, repo_id, {"a.txt": "1"}, parent_commit=parent)
    with pytest.raises(HfHubHTTPError, match="Please refresh and try again") as caught:
        put(ada, repo_id, {"a.txt": "2"}, parent_commit=parent)
    assert caught.value.response.status_code == 412
    assert caught.value.server_message == (
        "The branch was updated since you opened this page. Please refresh and try again."
    )
    assert head(ada, repo_id) == first.oid


def test_commits_to_branches_and_missing_revisions(ada: HfApi, http: httpx.Client) -> None:
    """A commit to a branch changes that branch alone; a commit to a missing branch is `RevisionNotFound`."""
    repo_id = make_repo(ada)
    ada.create_branch(repo_id, branch="dev/one", repo_type="dataset")
    put(ada, repo_id, {"d.txt": "d"}, revision="dev/one")
    assert text(http, repo_id, "d.txt", "dev/one") == "d" and text(http, repo_id, "d.txt") is None
    with pytest.raises(RevisionNotFoundError):
        put(ada, repo_id, {"d.txt": "d"}, revision="none")


def test_create_pr_opens_an_open_pull_request(ada: HfApi, http: httpx.Client) -> None:
    """A commit with `create_pr` opens a pull request, whose address is in the answer; its base does not change."""
    repo_id = make_repo(ada, "model")
    before = head(ada, repo_id, "model")
    info = put(
        ada, repo_id, {"a.txt": "a"}, "model", create_pr=True, commit_message="Add a", commit_description="Please"
    )
    assert info.pr_url == f"{ada.endpoint}/{repo_id}/discussions/1"
    assert (info.pr_num, info.pr_revision) == (1, "refs/pr/1")
    assert head(ada, repo_id, "model") == before
    details = ada.get_discussion_details(repo_id, 1)
    assert (details.status, details.is_pull_request, details.title) == ("open", True, "Add a")
    assert details.target_branch == "refs/heads/main"
    put(ada, repo_id, {"b.txt": "b"}, "model", revision="refs/pr/1")
    assert {"a.txt", "b.txt"} <= set(ada.list_repo_files(repo_id, revision="refs/pr/1"))


def test_a_user_without_write_access_may_open_a_pull_request(ada: HfApi, cleo: HfApi, bob: HfApi) -> None:
    """A user without write access opens a pull request and adds commits to it; to another user's it is 403."""
    repo_id = make_repo(ada)
    info = put(cleo, repo_id, {"c.txt": "c"}, create_pr=True)
    assert info.pr_num == 1
    put(cleo, repo_id, {"c2.txt": "c"}, revision="refs/pr/1")
    with pytest.raises(HfHubHTTPError) as caught:
        put(bob, repo_id, {"b.txt": "b"}, revision="refs/pr/1")
    assert caught.value.response.status_code == 403


def test_create_pr_against_a_commit_or_a_missing_branch(ada: HfApi, http: httpx.Client) -> None:
    """Only an existing branch can be the base of a pull request."""
    repo_id = make_repo(ada)
    for revision in (head(ada, repo_id), "missing"):
        with pytest.raises(RevisionNotFoundError):
            put(ada, repo_id, {"a.txt": "a"}, create_pr=True, revision=revision)
    assert list(ada.get_repo_discussions(repo_id, repo_type="dataset")) == []
    ada.create_branch(repo_id, branch="dev", repo_type="dataset")
    put(ada, repo_id, {"a.txt": "a"}, create_pr=True, revision="dev")
    assert ada.get_discussion_details(repo_id, 1, repo_type="dataset").target_branch == "refs/heads/dev"


def test_cards_are_checked(ada: HfApi, http: httpx.Client) -> None:
    """Broken or wrong metadata in README.md is refused before an upload; missing metadata is a warning."""
    repo_id = make_repo(ada)
    with pytest.raises(ValueError, match="Invalid metadata"):
        put(ada, repo_id, {"README.md": "---\nlicense: [\n---\n"})
    answer = http.post("/api/validate-yaml", json={"content": "---\nlicense: mit\n---\n# Hi", "repoType": "model"})
    assert answer.json() == {"errors": [], "warnings": []}
    bare = http.post("/api/validate-yaml", json={"content": "# Hi", "repoType": "model"}).json()
    assert bare["errors"] == [] and bare["warnings"][0]["message"]
    wrong = http.post("/api/validate-yaml", json={"content": "---\ntags: 3\n---\n", "repoType": "model"})
    assert wrong.status_code == 400 and wrong.json()["errors"][0]["message"]


def test_preupload_decides_by_gitattributes(ada: HfApi, http: httpx.Client) -> None:
    """Preupload chooses LFS or a regular upload by the `.gitattributes` of the repo."""
    repo_id = make_repo(ada)
    sample = base64.b64encode(b"x" * 16).decode()
    files = [{"path": p, "sample": sample, "size": 16} for p in ("w.safetensors", "a.json", "d/x.parquet", "y.odd")]
    url = f"/api/datasets/{repo_id}/preupload/main"
    answer = http.post(url, json={"files": files}).json()
    assert answer["commitOid"] == head(ada, repo_id)
    modes = {f["path"]: (f["uploadMode"], f["shouldIgnore"]) for f in answer["files"]}
    assert modes["w.safetensors"] == modes["d/x.parquet"] == ("lfs", False)
    assert modes["a.json"] == modes["y.odd"] == ("regular", False)
    put(ada, repo_id, {".gitattributes": "*.odd filter=lfs diff=lfs merge=lfs -text\n"})
    modes = {f["path"]: f["uploadMode"] for f in http.post(url, json={"files": files}).json()["files"]}
    assert modes == {"w.safetensors": "regular", "a.json": "regular", "d/x.parquet": "regular", "y.odd": "lfs"}


def test_preupload_ignores_what_gitignore_says(http: httpx.Client, ada: HfApi) -> None:
    """`gitIgnore` in a preupload request marks the files that the client then leaves out."""
    repo_id = make_repo(ada)
    body = {"files": [{"path": "a.log", "sample": "", "size": 0}, {"path": "a.txt", "sample": "", "size": 0}]}
    answer = http.post(f"/api/datasets/{repo_id}/preupload/main", json={**body, "gitIgnore": "*.log\n"}).json()
    assert [f["shouldIgnore"] for f in answer["files"]] == [True, False]


def test_preupload_bounds(http: httpx.Client, ada: HfApi) -> None:
    """A preupload of more than 1,000 files, or with a body of another shape, is 400 or 422."""
    repo_id = make_repo(ada)
    url = f"/api/datasets/{repo_id}/preupload/main"
    file = {"path": "a.txt", "sample": "", "size": 0}
    for body in ({"files": [file] * 1001}, {}, {"files": [{"path": 3}]}, []):
        assert http.post(url, json=body).status_code in (400, 422)


def test_copies_within_a_repo(ada: HfApi, http: httpx.Client) -> None:
    """A commit can copy a small file, and rename an LFS file."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.txt": "A", "m.bin": b"\0" * 100})
    ada.create_commit(
        repo_id,
        [
            CommitOperationCopy("a.txt", "copy/a.txt"),
            CommitOperationCopy("m.bin", "copy/m.bin"),
            CommitOperationDelete("m.bin"),
        ],
        commit_message="Copy",
        repo_type="dataset",
    )
    files = {s.rfilename: s for s in ada.dataset_info(repo_id, files_metadata=True).siblings or []}
    assert "m.bin" not in files and files["copy/m.bin"].lfs.size == files["copy/m.bin"].size == 100
    assert text(http, repo_id, "copy/a.txt") == "A"


def test_copies_between_repos(ada: HfApi, cleo: HfApi) -> None:
    """The client copies an LFS file and a small file from another repo; a private source is refused."""
    source, target = make_repo(ada, "model"), make_repo(cleo, owner="cleo")
    put(ada, source, {"a.txt": "A", "m.bin": b"\1" * 70}, "model")
    copies = [CommitOperationCopy(p, f"got/{p}", src_repo_id=source, src_repo_type="model") for p in ("a.txt", "m.bin")]
    cleo.create_commit(target, copies, commit_message="Fetch", repo_type="dataset")
    files = {s.rfilename: s.size for s in cleo.dataset_info(target, files_metadata=True).siblings or []}
    assert files["got/a.txt"] == 1 and files["got/m.bin"] == 70
    ada.update_repo_settings(source, private=True)
    again = [CommitOperationCopy("m.bin", "again.bin", src_repo_id=source, src_repo_type="model")]
    with pytest.raises(HfHubHTTPError):
        cleo.create_commit(target, again, commit_message="Steal", repo_type="dataset")


def test_only_the_touched_paths_change(ada: HfApi) -> None:
    """A commit keeps the git ids of all entries that it does not change."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {f"d{i}/f.txt": str(i) for i in range(20)})
    before = {i.path: getattr(i, "tree_id", None) for i in ada.list_repo_tree(repo_id, repo_type="dataset")}
    put(ada, repo_id, {"d3/g.txt": "g"})
    after = {i.path: getattr(i, "tree_id", None) for i in ada.list_repo_tree(repo_id, repo_type="dataset")}
    assert {path for path in after if after[path] != before[path]} == {"d3"}


def test_upload_folder_and_upload_file(ada: HfApi, tmp_path: Any) -> None:
    """`upload_folder` with `delete_patterns` mirrors a folder; `upload_file` adds one."""
    repo_id = make_repo(ada)
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "sub" / "b.bin").write_bytes(b"\0" * 64)
    (tmp_path / "skip.log").write_text("no")
    ada.upload_folder(
        repo_id=repo_id, folder_path=tmp_path, path_in_repo="up", repo_type="dataset", ignore_patterns="*.log"
    )
    ada.upload_file(path_or_fileobj=b"x", path_in_repo="up/x.txt", repo_id=repo_id, repo_type="dataset")
    files = set(ada.list_repo_files(repo_id, repo_type="dataset"))
    assert files == {".gitattributes", "up/a.txt", "up/sub/b.bin", "up/x.txt"}
    (tmp_path / "a.txt").unlink()
    ada.upload_folder(
        repo_id=repo_id,
        folder_path=tmp_path,
        path_in_repo="up",
        repo_type="dataset",
        delete_patterns="*.txt",
        ignore_patterns="*.log",
    )
    assert set(ada.list_repo_files(repo_id, repo_type="dataset")) == {".gitattributes", "up/sub/b.bin"}


def test_upload_folder_as_a_pull_request_of_a_client_with_xet(
    ada: HfApi, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload pipeline of a Xet client opens a draft and commits to its ref, as long as no file is LFS."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    repo_id = make_repo(ada)
    for i in range(5):
        (tmp_path / f"{i}.txt").write_text(str(i))
    info = ada.upload_folder(repo_id=repo_id, folder_path=tmp_path, repo_type="dataset", create_pr=True)
    assert info.pr_num == 1
    assert ada.get_discussion_details(repo_id, 1, repo_type="dataset").status == "draft"
    assert len(ada.list_repo_files(repo_id, repo_type="dataset", revision="refs/pr/1")) == 6
