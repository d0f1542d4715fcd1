"""Reading repos: trees, paths, commits, refs, diffs and files."""

import hashlib

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import RemoteEntryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile, RepoFolder

from tests.support.localhub.hub_accounts import head, make_repo, put

BIG = bytes(range(256)) * 64


@pytest.fixture(scope="module")
def data(ada: HfApi) -> str:
    """A dataset with folders, an LFS file, odd names, a branch, a tag and a pull request."""
    repo_id = make_repo(ada)
    put(
        ada,
        repo_id,
        {
            "a.txt": "alpha\n",
            "sub/b c.txt": "beta\n",
            "sub/deep/é+%.txt": "gamma\n",
            "big.bin": BIG,
            "empty.txt": "",
        },
        commit_message="Add the files",
        commit_description="With a body\nof two lines",
    )
    ada.create_branch(repo_id, branch="feature/x", repo_type="dataset")
    ada.create_tag(repo_id, tag="v1", repo_type="dataset")
    put(ada, repo_id, {"a.txt": "changed\n"}, create_pr=True)
    return repo_id


def git_sha(content: bytes) -> str:
    """The id that git gives a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def test_a_flat_tree(ada: HfApi, data: str) -> None:
    """A flat tree has size and git id of files and the tree id of folders, and does not enter folders."""
    items = {item.path: item for item in ada.list_repo_tree(data, repo_type="dataset")}
    assert set(items) == {".gitattributes", "a.txt", "big.bin", "empty.txt", "sub"}
    file, folder = items["a.txt"], items["sub"]
    assert isinstance(file, RepoFile) and (file.size, file.blob_id) == (6, git_sha(b"alpha\n"))
    assert isinstance(folder, RepoFolder) and len(folder.tree_id) == 40
    lfs = items["big.bin"]
    assert isinstance(lfs, RepoFile) and lfs.lfs is not None
    assert (lfs.size, lfs.lfs.size, lfs.lfs.sha256) == (len(BIG), len(BIG), hashlib.sha256(BIG).hexdigest())


def test_a_recursive_tree_lists_folders_too(ada: HfApi, data: str) -> None:
    """Recursion gives every file and every folder on the way."""
    paths = {item.path for item in ada.list_repo_tree(data, repo_type="dataset", recursive=True)}
    assert {"sub", "sub/deep", "sub/b c.txt", "sub/deep/é+%.txt"} <= paths


def test_the_tree_of_a_folder_at_a_pull_request(ada: HfApi, data: str) -> None:
    """Trees are read at a pull request's ref and at a branch, both with slashes in their names."""
    items = list(ada.list_repo_tree(data, "sub/deep", revision="refs/pr/1", repo_type="dataset"))
    assert [item.path for item in items] == ["sub/deep/é+%.txt"]
    items = list(ada.list_repo_tree(data, revision="feature/x", repo_type="dataset"))
    assert "a.txt" in [item.path for item in items]


def test_expanded_trees_have_the_last_commit_of_each_entry(ada: HfApi) -> None:
    """`expand` adds `lastCommit` (the newest commit that touched the entry) and the scan status."""
    repo_id = make_repo(ada)
    first = put(ada, repo_id, {"one.txt": "1", "sub/two.txt": "2"}, commit_message="First")
    two = put(ada, repo_id, {"sub/two.txt": "22"}, commit_message="Second")
    items = {i.path: i for i in ada.list_repo_tree(repo_id, repo_type="dataset", recursive=True, expand=True)}
    last = {path: item.last_commit for path, item in items.items()}
    assert last["one.txt"].oid == first.oid and last["one.txt"].title == "First"
    assert last["sub/two.txt"].oid == two.oid and last["sub"].oid == two.oid
    assert items["one.txt"].security is not None


def test_missing_folder_and_missing_revision(ada: HfApi, data: str) -> None:
    """The 404s of a missing folder and of a missing revision differ in X-Error-Code."""
    with pytest.raises(RemoteEntryNotFoundError):
        list(ada.list_repo_tree(data, "nowhere", repo_type="dataset"))
    with pytest.raises(RevisionNotFoundError):
        list(ada.list_repo_tree(data, revision="nowhere", repo_type="dataset"))


def test_tree_pages(ada: HfApi, http: httpx.Client) -> None:
    """A tree has pages of 1,000 entries, 50 with `expand`, linked by absolute URLs without repeated entries."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {f"f{i:04}.txt": str(i) for i in range(1100)})
    first = http.get(f"/api/datasets/{repo_id}/tree/main")
    assert len(first.json()) == 1000
    assert first.links["next"]["url"].startswith(str(http.base_url).rstrip("/"))
    paths = [item.path for item in ada.list_repo_tree(repo_id, repo_type="dataset")]
    assert len(paths) == len(set(paths)) == 1101
    assert len(http.get(f"/api/datasets/{repo_id}/tree/main?expand=true").json()) == 50
    small = http.get(f"/api/datasets/{repo_id}/tree/main?limit=7")
    assert len(small.json()) == 7 and "limit=7" in small.links["next"]["url"]


def test_paths_info(ada: HfApi, data: str) -> None:
    """`paths-info` returns files and folders by path, and leaves out missing ones."""
    items = ada.get_paths_info(data, ["a.txt", "sub", "none", "sub/b c.txt"], repo_type="dataset")
    assert {i.path: type(i) for i in items} == {"a.txt": RepoFile, "sub": RepoFolder, "sub/b c.txt": RepoFile}
    (item,) = ada.get_paths_info(data, "a.txt", expand=True, revision="refs/pr/1", repo_type="dataset")
    assert item.blob_id == git_sha(b"changed\n") and item.last_commit is not None


def test_paths_info_as_json_and_its_limits(http: httpx.Client, data: str) -> None:
    """`paths-info` takes up to 2,000 paths, or one, as JSON; a form with more than 1,000 fields is 413."""
    url = f"/api/datasets/{data}/paths-info/main"
    assert [i["path"] for i in http.post(url, json={"paths": ["a.txt", "sub"]}).json()] == ["a.txt", "sub"]
    assert [i["path"] for i in http.post(url, json={"paths": "a.txt", "expand": True}).json()] == ["a.txt"]
    assert http.post(url, json={"paths": ["a.txt"] * 2001}).status_code == 400
    assert http.post(url, data={"paths": ["a.txt"] * 900, "expand": "false"}).status_code == 200
    many = http.post(url, data={"paths": ["a.txt"] * 1001, "expand": "false"})
    assert many.status_code == 413 and "too many parameters" in many.json()["error"]


def test_commits_are_newest_first_and_paged(ada: HfApi, http: httpx.Client) -> None:
    """Commits are listed in pages of 50, with their number in `X-Total-Count` and a Link to the next page."""
    repo_id = make_repo(ada)
    oids = [put(ada, repo_id, {"n.txt": str(i)}, commit_message=f"Number {i}").oid for i in range(55)]
    commits = ada.list_repo_commits(repo_id, repo_type="dataset")
    assert [c.commit_id for c in commits[:-1]] == oids[::-1]
    assert commits[0].authors == ["ada"] and commits[0].title == "Number 54"
    page = http.get(f"/api/datasets/{repo_id}/commits/main")
    assert len(page.json()) == 50 and page.headers["X-Total-Count"] == "56" and "next" in page.links
    assert len(http.get(f"/api/datasets/{repo_id}/commits/main?limit=2&p=1").json()) == 2
    assert http.get(f"/api/datasets/{repo_id}/commits/main?limit=0").status_code == 400


def test_a_commit_has_title_message_and_date(ada: HfApi, data: str) -> None:
    """`message` is the body of a commit; `formatted` adds HTML in which tags are escaped."""
    commit = ada.list_repo_commits(data, repo_type="dataset")[0]
    assert (commit.title, commit.message) == ("Add the files", "With a body\nof two lines")
    put(ada, data, {"x.txt": "x"}, commit_message="<script>alert(1)</script>", revision="feature/x")
    newest = ada.list_repo_commits(data, revision="feature/x", repo_type="dataset", formatted=True)[0]
    assert newest.title == "<script>alert(1)</script>"
    assert "<script" not in (newest.formatted_title or "") and newest.formatted_title


def test_refs(ada: HfApi, data: str) -> None:
    """The refs of a repo are its branches and tags, and if requested its pull requests, with full ref names."""
    refs = ada.list_repo_refs(data, repo_type="dataset", include_pull_requests=True)
    assert {b.name: b.ref for b in refs.branches} == {
        "main": "refs/heads/main",
        "feature/x": "refs/heads/feature/x",
    }
    assert [(t.name, t.ref, t.target_commit) for t in refs.tags] == [("v1", "refs/tags/v1", head(ada, data))]
    pulls = refs.pull_requests or []
    assert [p.ref for p in pulls] == ["refs/pr/1"]
    assert ada.list_repo_refs(data, repo_type="dataset").pull_requests is None


def test_compare_is_a_json_string_with_a_git_diff(ada: HfApi, http: httpx.Client, data: str) -> None:
    """`compare` returns a git diff for `base..head` and `rev^..rev`, also for refs with slashes."""
    base = f"/api/datasets/{data}/compare"
    answer = http.get(f"{base}/main..refs%2Fpr%2F1")
    assert answer.headers["content-type"].startswith("application/json")
    diff = answer.json()
    assert diff.startswith("diff --git a/a.txt b/a.txt") and "-alpha\n+changed\n" in diff
    oid = head(ada, data)
    assert "sub/b c.txt" in http.get(f"{base}/{oid}^..{oid}").json()
    assert http.get(f"{base}/main..main").json() == ""
    assert http.get(f"{base}/main..none").headers["X-Error-Code"] == "RevisionNotFound"


def test_the_diff_page_of_a_pull_request_is_plain_text(http: httpx.Client, data: str) -> None:
    """`diffUrl` answers the same diff as text; the API has no `files` route."""
    answer = http.get(f"/datasets/{data}/discussions/1/files.diff")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "-alpha\n+changed\n" in answer.text
    assert http.get(f"/api/datasets/{data}/discussions/1/files").status_code == 404


def test_treesize(http: httpx.Client, data: str) -> None:
    """The size of a folder counts the real size of LFS files."""
    answer = http.get(f"/api/datasets/{data}/treesize/main/sub").json()
    assert answer == {"path": "sub", "size": 11}
    whole = http.get(f"/api/datasets/{data}/treesize/main/").json()
    assert whole["size"] > len(BIG)


def test_resolve_a_regular_file(ada: HfApi, http: httpx.Client, data: str) -> None:
    """A regular file has its git id as ETag, the commit in X-Repo-Commit, and its own length."""
    answer = http.head(f"/datasets/{data}/resolve/main/a.txt")
    assert answer.status_code == 200
    assert answer.headers["ETag"].strip('"') == git_sha(b"alpha\n")
    assert answer.headers["X-Repo-Commit"] == head(ada, data)
    assert answer.headers["Content-Length"] == "6"
    assert "X-Xet-Hash" not in answer.headers and "xet-auth" not in answer.headers.get("Link", "")
    assert http.get(f"/datasets/{data}/resolve/main/a.txt").text == "alpha\n"


def test_resolve_an_lfs_file(ada: HfApi, data: str) -> None:
    """The ETag of an LFS file is its sha256, and its size that of the content, not of the pointer."""
    meta = ada.get_hf_file_metadata(url=f"{ada.endpoint}/datasets/{data}/resolve/main/big.bin")
    assert meta.etag == hashlib.sha256(BIG).hexdigest() and meta.size == len(BIG)
    assert meta.xet_file_data is None
    follow = httpx.get(f"{ada.endpoint}/datasets/{data}/resolve/main/big.bin", follow_redirects=True)
    assert follow.content == BIG


def test_resolve_odd_names_and_revisions(http: httpx.Client, data: str) -> None:
    """Files are read by paths with spaces, percent signs and non-ASCII letters, and by revisions with slashes."""
    assert http.get(f"/datasets/{data}/resolve/refs%2Fpr%2F1/a.txt").text == "changed\n"
    assert http.get(f"/datasets/{data}/resolve/main/sub/b%20c.txt").text == "beta\n"
    assert http.get(f"/datasets/{data}/resolve/feature%2Fx/sub/deep/%C3%A9%2B%25.txt").text == "gamma\n"


def test_conditional_and_range_requests(http: httpx.Client, data: str) -> None:
    """If-None-Match gives 304; Range gives 206 with exactly those bytes, 416 beyond the end."""
    url = f"/datasets/{data}/resolve/main/a.txt"
    etag = http.head(url).headers["ETag"]
    assert http.get(url, headers={"If-None-Match": etag}).status_code == 304
    part = http.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"pha", "bytes 2-4/6")
    assert http.get(url, headers={"Range": "bytes=-2"}).content == b"a\n"
    assert http.get(url, headers={"Range": "bytes=4-"}).content == b"a\n"
    assert http.get(url, headers={"Range": "bytes=100-"}).status_code == 416
    big = httpx.get(
        f"{str(http.base_url).rstrip('/')}/datasets/{data}/resolve/main/big.bin",
        headers={"Range": "bytes=256-259"},
        follow_redirects=True,
    )
    assert (big.status_code, big.content) == (206, bytes(range(4)))


def test_a_missing_file_names_the_commit_that_lacks_it(ada: HfApi, http: httpx.Client, data: str) -> None:
    """404 `EntryNotFound` carries X-Repo-Commit, which the client's negative cache needs."""
    answer = http.head(f"/datasets/{data}/resolve/main/none.txt")
    assert answer.status_code == 404 and answer.headers["X-Error-Code"] == "EntryNotFound"
    assert answer.headers["X-Repo-Commit"] == head(ada, data)
    assert http.get(f"/datasets/{data}/resolve/none/a.txt").headers["X-Error-Code"] == "RevisionNotFound"
    assert http.get(f"/datasets/{data}/resolve/main/sub").headers["X-Error-Code"] == "EntryNotFound"
