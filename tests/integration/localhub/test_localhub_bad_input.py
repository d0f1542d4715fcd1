"""Invalid input: the answer is a 4xx with a JSON `error`, and nothing changes."""

import json
import socket
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from huggingface_hub import HfApi

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import head, make_repo, put

NDJSON = {"Content-Type": "application/x-ndjson"}


def refused(answer: httpx.Response) -> None:
    """Check that the answer is a client error with a JSON object that holds the reason."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:200])
    assert answer.json()["error"]
    assert "Traceback" not in answer.text


def commit_of(path: Any, key: str = "file") -> bytes:
    """A commit body that touches one path."""
    value: dict[str, Any] = {"path": path}
    if key == "file":
        value |= {"content": "eA==", "encoding": "base64"}
    if key == "lfsFile":
        value |= {"algo": "sha256", "oid": "ab" * 32, "size": 1}
    lines = [{"key": "header", "value": {"summary": "s", "description": ""}}, {"key": key, "value": value}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


BAD_PATHS = [
    "../x",
    "a/../../x",
    "a/..",
    "..",
    ".",
    "./x",
    "a/./x",
    "/etc/passwd",
    "//x",
    "a//b",
    "a/",
    "",
    ".git/config",
    "a/.git/hooks/post-update",
    ".GIT/config",
    "bell\x07.txt",
    "nul\x00.txt",
    "new\nline.txt",
    "tab\t.txt",
    "x" * 1001,
    "\ud800",
    3,
    None,
    ["a"],
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda p: ascii(p)[:20])
@pytest.mark.parametrize("key", ["file", "lfsFile"])
def test_paths_that_leave_the_repo_or_cannot_be_files(
    ada: HfApi, http: httpx.Client, bad_repo: str, path: Any, key: str
) -> None:
    """A commit to a path outside the repo, or one that cannot be a file, is refused; main does not change."""
    before = head(ada, bad_repo)
    refused(http.post(f"/api/datasets/{bad_repo}/commit/main", content=commit_of(path, key), headers=NDJSON))
    assert head(ada, bad_repo) == before


@pytest.fixture(scope="module")
def bad_repo(ada: HfApi) -> str:
    """A dataset that no test of this file can change."""
    repo_id = make_repo(ada)
    put(ada, repo_id, {"dir/file.txt": "content"})
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    return repo_id


def header(**value: Any) -> str:
    """The first line of a commit body."""
    return json.dumps({"key": "header", "value": value})


GOOD = '{"key":"file","value":{"path":"a.txt","content":"eA==","encoding":"base64"}}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"not json\n",
        b"[]\n",
        b"3\n",
        b"null\n",
        b'{"key":"header"}\n',
        b'{"key":"header","value":[]}\n',
        GOOD.encode(),
        header(summary="").encode() + b"\n" + GOOD.encode(),
        header(summary=3).encode() + b"\n" + GOOD.encode(),
        header(summary="s", parentCommit="short").encode() + b"\n" + GOOD.encode(),
        header(summary="s", parentCommit=7).encode() + b"\n" + GOOD.encode(),
        header(summary="s").encode() + b"\n" + GOOD.encode()[:-20],
        header(summary="s").encode() + b'\n{"key":"fil',
        header(summary="s").encode() + b'\n{"key":"explode","value":{"path":"a.txt"}}\n',
        header(summary="s").encode() + b'\n{"key":"file","value":{"path":"a.txt"}}\n',
        header(summary="s").encode()
        + b'\n{"key":"file","value":{"path":"a.txt","content":"***","encoding":"base64"}}\n',
        header(summary="s").encode() + b'\n{"key":"file","value":{"path":"a.txt","content":"x","encoding":"rot13"}}\n',
        header(summary="s").encode() + b'\n{"key":"file","value":{"path":"dir","content":"eA==","encoding":"base64"}}'
        b'\n{"key":"file","value":{"path":"dir/b","content":"eA==","encoding":"base64"}}\n',
        header(summary="s").encode() + b'\n{"key":"deletedFolder","value":{"path":"nowhere/"}}\n',
        header(summary="s").encode() + b'\n{"key":"deletedEntry","value":{"path":"nowhere"}}\n',
        b"[" * 20000,
        b'{"key":"header","value":{"summary":"\xff\xfe"}}\n',
    ],
    ids=lambda b: ascii(b[-24:]),
)
def test_broken_commit_bodies(ada: HfApi, http: httpx.Client, bad_repo: str, body: bytes) -> None:
    """The server refuses a commit body that is cut short, out of order, of wrong types or contradictory."""
    before = head(ada, bad_repo)
    refused(http.post(f"/api/datasets/{bad_repo}/commit/main", content=body, headers=NDJSON))
    assert head(ada, bad_repo) == before


@pytest.mark.parametrize(
    "path",
    [
        "/resolve/main/../../../etc/passwd",
        "/resolve/main/..%2F..%2Fetc%2Fpasswd",
        "/resolve/main/%2e%2e/%2e%2e/x",
        "/resolve/main/a%00b",
        "/resolve/%00/a.txt",
        "/resolve/main/",
        "/resolve/..%2F..%2Fx/a.txt",
        "/resolve/main/" + "x" * 5000,
        "/resolve/main/%ff%fe",
        "/resolve/HEAD~1/a.txt",
        "/resolve/main@%7B1%7D/a.txt",
        "/resolve/:%2Fx/a.txt",
    ],
)
def test_file_addresses_outside_the_repo_are_refused(http: httpx.Client, bad_repo: str, path: str) -> None:
    """A file name or revision that leaves the repo, or that is git syntax, is a client error."""
    url = str(http.base_url).rstrip("/") + f"/datasets/{bad_repo}{path}"
    answer = http.get(httpx.URL(url))
    assert 400 <= answer.status_code < 500


def test_raw_dots_in_the_request_line(hub: LocalHub, bad_repo: str) -> None:
    """A request with unnormalised `..` in its path reads no file outside the repo."""
    where = urlsplit(hub.url)
    for target in (
        f"/datasets/{bad_repo}/resolve/main/../../../../../etc/passwd",
        f"/datasets/{bad_repo}/../../etc/passwd",
        "/_static/../../../../etc/passwd",
        "/_static/..%2f..%2f..%2fetc%2fpasswd",
        f"/api/datasets/{bad_repo}/tree/main/..%2F..",
    ):
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as wire:
            wire.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := wire.recv(65536):
                answer += piece
        status = int(answer.split(b" ", 2)[1])
        assert 300 <= status < 500 and b"root:" not in answer, target


def test_a_body_shorter_than_its_content_length_changes_nothing(ada: HfApi, hub: LocalHub, bad_repo: str) -> None:
    """A commit whose body is shorter than its Content-Length changes nothing, and the server goes on."""
    before = head(ada, bad_repo)
    where = urlsplit(hub.url)
    body = commit_of("lie.txt")
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as wire:
        lines = [
            f"POST /api/datasets/{bad_repo}/commit/main HTTP/1.1",
            "Host: x",
            "Authorization: Bearer hf_ada",
            "Content-Type: application/x-ndjson",
            f"Content-Length: {len(body) + 1000}",
        ]
        wire.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        wire.shutdown(socket.SHUT_WR)
        wire.recv(65536)
    assert head(ada, bad_repo) == before
    assert "lie.txt" not in ada.list_repo_files(bad_repo, repo_type="dataset")


@pytest.mark.parametrize("length", ["-1", "many", "99999999999999999999"])
def test_impossible_content_lengths(hub: LocalHub, bad_repo: str, length: str) -> None:
    """A negative, non-numeric or huge Content-Length gets a client error, or no answer."""
    where = urlsplit(hub.url)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=30) as wire:
        wire.sendall(
            f"POST /api/datasets/{bad_repo}/discussions/1/comment HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer hf_ada\r\nContent-Length: {length}\r\n\r\nx".encode()
        )
        wire.shutdown(socket.SHUT_WR)
        answer = wire.recv(65536)
    assert not answer or answer.split(b" ", 2)[1].startswith(b"4")


def test_a_comment_of_10_mb(ada: HfApi, http: httpx.Client, bad_repo: str) -> None:
    """The server refuses a comment, description or title of 10 MB, and the thread stays readable."""
    path = f"/api/datasets/{bad_repo}/discussions"
    before = ada.get_discussion_details(bad_repo, 1, repo_type="dataset").events
    refused(http.post(f"{path}/1/comment", json={"comment": "x" * 10_000_000}))
    refused(http.post(path, json={"title": "A title", "description": "x" * 10_000_000}))
    refused(http.post(f"{path}/1/title", json={"title": "x" * 10_000_000}))
    assert ada.get_discussion_details(bad_repo, 1, repo_type="dataset").events == before


JSON_ROUTES = [
    "/api/repos/create",
    "/api/repos/move",
    "/api/validate-yaml",
    "/api/settings/webhooks",
    "/api/datasets/{id}/preupload/main",
    "/api/datasets/{id}/paths-info/main",
    "/api/datasets/{id}/discussions",
    "/api/datasets/{id}/discussions/1/comment",
    "/api/datasets/{id}/discussions/1/title",
    "/api/datasets/{id}/discussions/1/status",
    "/api/datasets/{id}/discussions/1/pin",
    "/api/datasets/{id}/super-squash/main",
    "/api/datasets/{id}/tag/main",
    "/api/datasets/{id}/lfs-files/duplicate",
    "/api/datasets/{id}/lfs-files/batch",
    "/datasets/{id}.git/info/lfs/objects/batch",
    "/_admin/faults",
    "/_admin/modify",
]
JSON_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"{}",
    b"\xff\xfe",
    b"[" * 50000,
    b'{"title": {"a": 1}, "comment": [1], "status": {}, "name": 5, "path": 1, "type": [], "files": 3, "paths": {}}',
    b'{"title": "\\ud800\\ud800", "comment": "\\ud800", "description": "\\udfff", "name": "\\u0000",'
    b' "tag": "\\ud800", "message": "\\ud800"}',
]


@pytest.mark.parametrize("route", JSON_ROUTES)
def test_json_bodies_of_the_wrong_shape(http: httpx.Client, bad_repo: str, route: str) -> None:
    """A JSON body of the wrong shape is never a server error; a client error has a JSON `error`."""
    for body in JSON_BODIES:
        answer = http.post(route.format(id=bad_repo), content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (body[:40], answer.text[:200])
        if answer.status_code >= 400:
            assert answer.json()["error"]


@pytest.mark.parametrize(
    "query",
    ["p=-1", "p=x", "p=99999999999999999999", "status=odd", "type=odd", "author=%00", "search=%25%27%22", "sort=odd"],
)
def test_odd_list_parameters(http: httpx.Client, bad_repo: str, query: str) -> None:
    """The list of threads answers an invalid filter or page with 200 or 400, never with a server error."""
    answer = http.get(f"/api/datasets/{bad_repo}/discussions?{query}")
    assert answer.status_code in (200, 400)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=1001", "cursor=%00", "cursor=../..", "recursive=perhaps", "p=-5"]
)
def test_odd_page_parameters(http: httpx.Client, bad_repo: str, query: str) -> None:
    """The lists of files and commits answer an invalid page parameter with 200 or 400."""
    for route in ("tree", "commits"):
        assert http.get(f"/api/datasets/{bad_repo}/{route}/main?{query}").status_code in (200, 400)


@pytest.mark.parametrize("value", ["Bearer", "Basic !!!", "Basic Zm9v", "Digest x", "Bearer é", "x" * 9000])
def test_odd_authorisation_headers(hub: LocalHub, bad_repo: str, value: str) -> None:
    """An Authorization header without a known token is a client error."""
    headers = [(b"Authorization", value.encode("latin-1"))]
    answer = httpx.get(f"{hub.url}/api/datasets/{bad_repo}", headers=headers)
    assert 400 <= answer.status_code < 500


def test_numbers_of_threads(http: httpx.Client, bad_repo: str) -> None:
    """A thread number that is zero, negative, not a decimal number or too large is a client error."""
    for number in ("0", "-1", "x", "1.5", "9" * 30, "%00", quote("١", safe="")):
        answer = http.get(f"/api/datasets/{bad_repo}/discussions/{number}")
        assert 400 <= answer.status_code < 500, number


def test_form_bodies_of_another_kind(http: httpx.Client, bad_repo: str) -> None:
    """A broken form body is no server error, and a form where JSON is expected is refused."""
    url = f"/api/datasets/{bad_repo}/paths-info/main"
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert http.post(url, content=b"--y\r\n", headers=broken).status_code < 500
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http.post(url, content=b"\xff\xfe=&&&=", headers=urlencoded).status_code < 500
    refused(http.post(f"/api/datasets/{bad_repo}/discussions", data={"title": "A title"}))


@pytest.mark.long("three seconds of a processor")
def test_a_deep_and_a_huge_card(ada: HfApi, http: httpx.Client) -> None:
    """A card with a YAML bomb, deep nesting or a Python tag is no server error, and the repo stays readable."""
    bomb = "---\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [" + ",".join([f"*{chr(97 + i)}"] * 9) + "]\n" for i in range(9)
    )
    for content in (bomb + "---\n", "---\n" + "[" * 5000 + "\n---\n", "---\n!!python/object:os.system x\n---\n"):
        answer = http.post("/api/validate-yaml", json={"content": content, "repoType": "model"}, timeout=60)
        assert answer.status_code < 500
        repo_id = make_repo(ada)
        line = json.dumps({"key": "file", "value": {"path": "README.md", "content": content, "encoding": "utf-8"}})
        body = f"{header(summary='card', description='')}\n{line}\n".encode()
        assert http.post(f"/api/datasets/{repo_id}/commit/main", content=body).status_code < 500
        assert http.get(f"/api/datasets/{repo_id}", timeout=60).status_code == 200
