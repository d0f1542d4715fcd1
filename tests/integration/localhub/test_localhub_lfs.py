"""Git LFS: large files, stored by their sha256."""

import hashlib
from typing import Any

import httpx
import pytest
from huggingface_hub import HfApi

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, accounts_world, make_repo, put

LFS_JSON = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}


def batch(http: httpx.Client, repo_id: str, content: bytes, **changes: Any) -> httpx.Response:
    """Ask for the upload of one object of a dataset."""
    oid = hashlib.sha256(content).hexdigest()
    body = {
        "operation": "upload",
        "transfers": ["basic", "multipart"],
        "objects": [{"oid": oid, "size": len(content)}],
        "hash_algo": "sha256",
        **changes,
    }
    return http.post(f"/datasets/{repo_id}.git/info/lfs/objects/batch", json=body, headers=LFS_JSON)


def commit_lfs(http: httpx.Client, repo_id: str, oid: str, size: int) -> httpx.Response:
    """Commit a pointer to an object."""
    lines = (
        '{"key":"header","value":{"summary":"Add","description":""}}\n'
        f'{{"key":"lfsFile","value":{{"path":"x.bin","algo":"sha256","oid":"{oid}","size":{size}}}}}\n'
    )
    return http.post(f"/api/datasets/{repo_id}/commit/main", content=lines.encode())


def upload(http: httpx.Client, action: dict[str, Any], content: bytes) -> None:
    """Send the bytes as the batch answer says: in one piece, or in parts."""
    header = action.get("header", {})
    if "chunk_size" not in header:
        assert httpx.put(action["href"], content=content).status_code == 200
        return
    size = int(header["chunk_size"])
    parts = []
    for number in range(1, len([k for k in header if k.isdigit()]) + 1):
        answer = httpx.put(header[str(number)], content=content[(number - 1) * size : number * size])
        parts.append({"partNumber": number, "etag": answer.headers["etag"]})
    oid = hashlib.sha256(content).hexdigest()
    assert httpx.post(action["href"], json={"oid": oid, "parts": parts}).status_code == 200


def test_upload_verify_and_commit(ada: HfApi, http: httpx.Client) -> None:
    """An object is uploaded to a signed address without a token, verified by its size, and committed as a pointer."""
    repo_id, content = make_repo(ada), b"lfs content " * 50
    answer = batch(http, repo_id, content)
    assert answer.headers["content-type"].startswith("application/vnd.git-lfs+json")
    (entry,) = answer.json()["objects"]
    upload(http, entry["actions"]["upload"], content)
    if verify := entry["actions"].get("verify"):
        oid = hashlib.sha256(content).hexdigest()
        assert http.post(verify["href"], json={"oid": oid, "size": len(content)}).status_code == 200
        assert http.post(verify["href"], json={"oid": oid, "size": 1}).status_code >= 400
    assert commit_lfs(http, repo_id, entry["oid"], len(content)).status_code == 200
    assert http.get(f"/datasets/{repo_id}/resolve/main/x.bin", follow_redirects=True).content == content


def test_what_is_stored_needs_no_upload(ada: HfApi, http: httpx.Client) -> None:
    """The batch answer has no upload action for an object that the repo already has."""
    repo_id, content = make_repo(ada), b"\7" * 123
    put(ada, repo_id, {"a.bin": content})
    (entry,) = batch(http, repo_id, content).json()["objects"]
    assert not entry.get("actions") and not entry.get("error")


def test_download_by_batch(ada: HfApi, http: httpx.Client) -> None:
    """A batch request for a download returns the address of an object, and a 404 for an unknown one."""
    repo_id, content = make_repo(ada), b"\5" * 99
    put(ada, repo_id, {"a.bin": content})
    (entry,) = batch(http, repo_id, content, operation="download").json()["objects"]
    action = entry["actions"]["download"]
    assert httpx.get(action["href"], headers=action.get("header", {})).content == content
    (missing,) = batch(http, repo_id, b"never uploaded", operation="download").json()["objects"]
    assert missing["error"]["code"] == 404


def test_a_pointer_to_nothing_cannot_be_committed(ada: HfApi, http: httpx.Client) -> None:
    """A commit that names an object which was never uploaded is refused, and main stays."""
    repo_id = make_repo(ada)
    before = ada.dataset_info(repo_id).sha
    answer = commit_lfs(http, repo_id, "ab" * 32, 10)
    assert 400 <= answer.status_code < 500 and answer.json()["error"]
    assert ada.dataset_info(repo_id).sha == before


def test_content_that_does_not_match_its_hash_is_refused(ada: HfApi, http: httpx.Client) -> None:
    """Bytes sent to the address of another object, or of another length, are not stored."""
    repo_id, content = make_repo(ada), b"the promised content"
    (entry,) = batch(http, repo_id, content).json()["objects"]
    answer = httpx.put(entry["actions"]["upload"]["href"], content=b"something else entirely")
    assert 400 <= answer.status_code < 500
    assert commit_lfs(http, repo_id, entry["oid"], len(content)).status_code >= 400


def test_uploading_needs_an_account(ada: HfApi, hub: LocalHub) -> None:
    """An upload without a token is 401; another user may upload to a public repo, but not to a private one."""
    public, hidden = make_repo(ada), make_repo(ada, private=True)
    with httpx.Client(base_url=hub.url) as anonymous:
        assert batch(anonymous, public, b"x" * 30).status_code == 401
    with httpx.Client(base_url=hub.url, headers={"Authorization": f"Bearer {TOKENS['cleo']}"}) as stranger:
        assert batch(stranger, public, b"x" * 30).status_code == 200
        assert batch(stranger, hidden, b"x" * 30).status_code == 404


def test_objects_of_a_private_repo_stay_private(ada: HfApi, cleo: HfApi, hub: LocalHub) -> None:
    """Knowing a hash is not enough to commit a pointer to an object of another account's private repo."""
    secret, content = make_repo(ada, private=True), b"private weights" * 9
    put(ada, secret, {"w.bin": content})
    own = make_repo(cleo, owner="cleo")
    with httpx.Client(base_url=hub.url, headers={"Authorization": f"Bearer {TOKENS['cleo']}"}) as client:
        oid = hashlib.sha256(content).hexdigest()
        assert commit_lfs(client, own, oid, len(content)).status_code >= 400


@pytest.mark.parametrize(
    "changes",
    [
        {"objects": [{"oid": "../../etc/passwd", "size": 1}]},
        {"objects": [{"oid": "ab" * 32, "size": -1}]},
        {"objects": [{"oid": "ab" * 32}]},
        {"objects": "x"},
        {"operation": "burn"},
        {"hash_algo": "md5"},
    ],
)
def test_odd_batches(ada: HfApi, http: httpx.Client, changes: dict[str, Any]) -> None:
    """A batch request of another shape is 4xx, or has an error for each object."""
    answer = batch(http, make_repo(ada), b"x", **changes)
    if answer.status_code == 200:
        assert all("error" in entry for entry in answer.json()["objects"])
    else:
        assert 400 <= answer.status_code < 500


def test_listing_and_deleting_lfs_files(ada: HfApi) -> None:
    """`list_lfs_files` names object, file and size; `permanently_delete_lfs_files` removes the object."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"a.bin": b"\1" * 40, "b.bin": b"\2" * 50})
    listed = {f.filename: f for f in ada.list_lfs_files(repo_id, repo_type="dataset")}
    assert {name: f.size for name, f in listed.items()} == {"a.bin": 40, "b.bin": 50}
    assert listed["a.bin"].file_oid == hashlib.sha256(b"\1" * 40).hexdigest()
    ada.permanently_delete_lfs_files(repo_id, [listed["a.bin"]], repo_type="dataset")
    assert [f.filename for f in ada.list_lfs_files(repo_id, repo_type="dataset")] == ["b.bin"]


def test_deleting_one_lfs_object(ada: HfApi, http: httpx.Client) -> None:
    """`DELETE lfs-files/{sha}` deletes an object, which can no longer be downloaded; a missing object is 404."""
    repo_id, content = make_repo(ada), b"\4" * 60
    put(ada, repo_id, {"a.bin": content})
    sha = hashlib.sha256(content).hexdigest()
    assert http.delete(f"/api/datasets/{repo_id}/lfs-files/{sha}").status_code in (200, 204)
    assert list(ada.list_lfs_files(repo_id, repo_type="dataset")) == []
    answer = http.get(f"/datasets/{repo_id}/resolve/main/a.bin", follow_redirects=True)
    assert content not in answer.content and answer.status_code < 500
    assert http.delete(f"/api/datasets/{repo_id}/lfs-files/{'0' * 64}").status_code == 404


def test_large_files_are_streamed(ada: HfApi, http: httpx.Client, tmp_path: Any) -> None:
    """A file of 12 MB is uploaded from its path and downloaded with the same content."""
    repo_id, path = make_repo(ada), tmp_path / "w.safetensors"
    path.write_bytes(bytes(range(256)) * 48 * 1024)
    ada.upload_file(path_or_fileobj=path, path_in_repo="w.safetensors", repo_id=repo_id, repo_type="dataset")
    digest = hashlib.sha256()
    with http.stream("GET", f"/datasets/{repo_id}/resolve/main/w.safetensors", follow_redirects=True) as answer:
        for piece in answer.iter_bytes():
            digest.update(piece)
    assert digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_client_with_xet_fails_with_the_setting_that_disables_it(ada: HfApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload of a large file by a client with Xet fails, with HF_HUB_DISABLE_XET=1 in the message."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    with pytest.raises(ConnectionError, match="HF_HUB_DISABLE_XET=1"):
        put(ada, make_repo(ada), {"w.bin": b"\0" * 100})


def test_with_uploads_regular_any_client_can_write(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `uploads: regular` in the world a client with Xet sends even weights inside the commit."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", False)
    with LocalHub(tmp_path, {**accounts_world(), "uploads": "regular"}) as hub:
        api = HfApi(endpoint=hub.url, token=TOKENS["ada"])
        repo_id = make_repo(api)
        put(api, repo_id, {"w.safetensors": b"\0" * 100})
        (item,) = api.get_paths_info(repo_id, "w.safetensors", repo_type="dataset")
        assert item.size == 100 and item.lfs is None  # type: ignore[union-attr]
