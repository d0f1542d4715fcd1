"""Discussions over the API: created, listed, commented, edited, closed, pinned, locked and deleted."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from huggingface_hub import DiscussionComment, DiscussionStatusChange, DiscussionTitleChange, HfApi
from huggingface_hub.errors import HfHubHTTPError

from localhub.testing import LocalHub
from tests.support.localhub.hub_accounts import TOKENS, make_repo, put

Detail = Callable[[str, int], Any]


@pytest.fixture(scope="module")
def detail(http: httpx.Client) -> Detail:
    """The raw detail of a thread of a dataset."""

    def get(repo_id: str, num: int) -> Any:
        return http.get(f"/api/datasets/{repo_id}/discussions/{num}").json()

    return get


def status_of(call: Callable[[], Any]) -> int:
    """The HTTP status that a client call fails with."""
    with pytest.raises(HfHubHTTPError) as caught:
        call()
    return caught.value.response.status_code


def test_the_answer_to_create(ada: HfApi, http: httpx.Client) -> None:
    """The answer to a new discussion has its `url`, `num` and `pullRequest`; numbers start at 1."""
    repo_id = make_repo(ada)
    body = {"title": "A question", "description": "Why?", "pullRequest": False}
    answer = http.post(f"/api/datasets/{repo_id}/discussions", json=body)
    assert answer.status_code == 200
    created = answer.json()
    assert (created["num"], created["pullRequest"]) == (1, False)
    assert created["url"].endswith(f"/datasets/{repo_id}/discussions/1")


def test_a_discussion_through_the_client(ada: HfApi, cleo: HfApi) -> None:
    """Any user can open a thread on a public repo; its first event is the description as a comment."""
    repo_id = make_repo(ada, "model")
    discussion = cleo.create_discussion(repo_id, title="A question", description="Why **so**?")
    assert (discussion.num, discussion.status, discussion.author, discussion.is_pull_request) == (
        1,
        "open",
        "cleo",
        False,
    )
    assert (discussion.repo_id, discussion.repo_type, discussion.url) == (
        repo_id,
        "model",
        f"{ada.endpoint}/{repo_id}/discussions/1",
    )
    (comment,) = discussion.events
    assert isinstance(comment, DiscussionComment)
    assert (comment.content, comment.author, comment.edited, comment.hidden) == ("Why **so**?", "cleo", False, False)
    assert "<strong>so</strong>" in comment.rendered
    assert discussion.conflicting_files is None and discussion.diff is None and discussion.target_branch is None


def test_the_detail_has_every_field_of_the_specification(ada: HfApi, detail: Detail) -> None:
    """A thread has 24-digit ids and dates that end in Z, and a discussion has no fields of a pull request."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", description="Why?", repo_type="dataset")
    thread = detail(repo_id, 1)
    assert len(thread["_id"]) == 24 and thread["num"] == 1 and thread["title"] == "A question"
    assert thread["repo"] == {"name": repo_id, "type": "dataset"}
    assert (thread["status"], thread["pinned"], thread["locked"]) == ("open", False, False)
    assert (thread["isPullRequest"], thread["isReport"]) == (False, False)
    assert thread["collection"] == "discussions" and thread["createdAt"].endswith("Z")
    assert thread["author"]["name"] == "ada"
    assert not {"changes", "filesWithConflicts", "diffUrl", "diff"} & set(thread)
    (event,) = thread["events"]
    assert event["type"] == "comment" and len(event["id"]) == 24 and event["createdAt"].endswith("Z")
    assert event["author"]["name"] == "ada" and event["author"]["isOwner"] is True
    data = event["data"]
    assert (data["edited"], data["hidden"], data["numEdits"], data["reactions"]) == (False, False, 0, [])
    assert data["latest"]["raw"] == "Why?" and data["latest"]["updatedAt"].endswith("Z")
    assert "<p>Why?</p>" in data["latest"]["html"]


def test_one_counter_for_discussions_and_pull_requests(ada: HfApi) -> None:
    """Discussions and pull requests of a repo share one sequence of numbers; each repo has its own."""
    repo_id, other = make_repo(ada), make_repo(ada)
    assert ada.create_discussion(repo_id, title="One one", repo_type="dataset").num == 1
    assert put(ada, repo_id, {"a.txt": "a"}, create_pr=True).pr_num == 2
    assert ada.create_pull_request(repo_id, title="Three", repo_type="dataset").num == 3
    assert ada.create_discussion(other, title="One again", repo_type="dataset").num == 1


def test_lists_are_newest_first_and_filtered(ada: HfApi, cleo: HfApi) -> None:
    """The list of threads begins with the newest, and can be filtered by type, status and author."""
    repo_id = make_repo(ada)
    for title in ("First", "Second"):
        ada.create_discussion(repo_id, title=title, repo_type="dataset")
    cleo.create_pull_request(repo_id, title="Third", repo_type="dataset")
    ada.change_discussion_status(repo_id, 1, "closed", repo_type="dataset")

    def nums(**filters: Any) -> list[int]:
        return [d.num for d in ada.get_repo_discussions(repo_id, repo_type="dataset", **filters)]

    assert nums() == [3, 2, 1]
    assert nums(discussion_type="pull_request") == [3] and nums(discussion_type="discussion") == [2, 1]
    assert nums(discussion_status="closed") == [1] and nums(discussion_status="open")[-1] == 2
    assert nums(author="cleo") == [3] and nums(author="bob") == []


def test_the_list_is_paged_by_number_with_a_true_start(ada: HfApi, http: httpx.Client) -> None:
    """`start` of a page is its offset, by which the client finds the last page; items have the documented fields."""
    repo_id = make_repo(ada)
    for i in range(25):
        http.post(f"/api/datasets/{repo_id}/discussions", json={"title": f"Thread {i}", "description": "d"})
    nums = [d.num for d in ada.get_repo_discussions(repo_id, repo_type="dataset")]
    assert nums == list(range(25, 0, -1))
    listed = 0
    for page in range(10):
        answer = http.get(f"/api/datasets/{repo_id}/discussions?p={page}").json()
        assert answer["start"] == listed and answer["count"] == 25
        listed += len(answer["discussions"])
        if listed == 25:
            break
    assert listed == 25
    item = http.get(f"/api/datasets/{repo_id}/discussions").json()["discussions"][0]
    assert {"num", "author", "repo", "title", "createdAt", "status", "isPullRequest", "numComments"} <= set(item)
    assert {"numReactionUsers", "topReactions", "pinned", "repoOwner"} <= set(item)
    assert item["repoOwner"]["name"] == "ada" and item["repo"] == {"name": repo_id, "type": "dataset"}
    matching = http.get(f"/api/datasets/{repo_id}/discussions?search=Thread 24").json()
    assert [d["num"] for d in matching["discussions"]] == [25] and matching["count"] == 1


def test_comments(ada: HfApi, cleo: HfApi, http: httpx.Client) -> None:
    """A comment is 201 with `newMessage`, and appears as an event with its own id."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    answer = http.post(f"/api/datasets/{repo_id}/discussions/1/comment", json={"comment": "raw"})
    assert answer.status_code == 201
    assert answer.json()["newMessage"]["data"]["latest"]["raw"] == "raw"
    comment = cleo.comment_discussion(repo_id, 1, "Mine & <b>yours</b>", repo_type="dataset")
    assert isinstance(comment, DiscussionComment) and comment.author == "cleo"
    events = ada.get_discussion_details(repo_id, 1, repo_type="dataset").events
    assert [e.content for e in events if isinstance(e, DiscussionComment)][1:] == ["raw", "Mine & <b>yours</b>"]
    assert events[2].id == comment.id


def test_editing_comments(ada: HfApi, cleo: HfApi, bob: HfApi) -> None:
    """The author of a comment can edit it, which marks it as edited; another user gets 403."""
    repo_id = make_repo(ada)
    cleo.create_discussion(repo_id, title="A question", description="One", repo_type="dataset")
    first = ada.get_discussion_details(repo_id, 1, repo_type="dataset").events[0]
    edited = cleo.edit_discussion_comment(repo_id, 1, first.id, "Two", repo_type="dataset")
    assert (edited.content, edited.edited, edited.last_edited_by) == ("Two", True, "cleo")
    assert edited.id == first.id and edited.last_edited_at >= first.created_at
    again = ada.get_discussion_details(repo_id, 1, repo_type="dataset").events[0]
    assert isinstance(again, DiscussionComment) and again.content == "Two"
    assert status_of(lambda: bob.edit_discussion_comment(repo_id, 1, first.id, "X", repo_type="dataset")) == 403


def test_hiding_comments(ada: HfApi, cleo: HfApi, bob: HfApi) -> None:
    """A hidden comment shows a fixed sentence and cannot be edited; the repo's owner may hide it, others may not."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    comment = cleo.comment_discussion(repo_id, 1, "Spam", repo_type="dataset")
    assert status_of(lambda: bob.hide_discussion_comment(repo_id, 1, comment.id, repo_type="dataset")) == 403
    hidden = ada.hide_discussion_comment(repo_id, 1, comment.id, repo_type="dataset")
    assert (hidden.hidden, hidden.content) == (True, "This comment has been hidden")
    assert status_of(lambda: cleo.edit_discussion_comment(repo_id, 1, comment.id, "X", repo_type="dataset")) >= 400
    second_comment = ada.get_discussion_details(repo_id, 1, repo_type="dataset").events[1]
    assert (
        isinstance(second_comment, DiscussionComment)
        and "Spam" not in second_comment.content
        and "Spam" not in second_comment.rendered
    )


def test_renaming(ada: HfApi, cleo: HfApi, bob: HfApi) -> None:
    """The author of a thread can rename it, which is an event with both titles; another user gets 403."""
    repo_id = make_repo(ada)
    cleo.create_discussion(repo_id, title="Old title", repo_type="dataset")
    change = cleo.rename_discussion(repo_id, 1, "New title", repo_type="dataset")
    assert isinstance(change, DiscussionTitleChange)
    assert (change.old_title, change.new_title) == ("Old title", "New title")
    details = ada.get_discussion_details(repo_id, 1, repo_type="dataset")
    assert details.title == "New title" and details.events[-1].type == "title-change"
    assert status_of(lambda: bob.rename_discussion(repo_id, 1, "Not mine", repo_type="dataset")) == 403


def test_closing_and_reopening(ada: HfApi, cleo: HfApi, bob: HfApi) -> None:
    """Closing a thread is a status-change event, and a comment sent with it is an event of its own."""
    repo_id = make_repo(ada)
    cleo.create_discussion(repo_id, title="A question", repo_type="dataset")
    assert status_of(lambda: bob.change_discussion_status(repo_id, 1, "closed", repo_type="dataset")) == 403
    change = ada.change_discussion_status(repo_id, 1, "closed", comment="Answered", repo_type="dataset")
    assert isinstance(change, DiscussionStatusChange) and change.new_status == "closed"
    details = ada.get_discussion_details(repo_id, 1, repo_type="dataset")
    assert details.status == "closed"
    assert sorted(e.type for e in details.events[1:]) == ["comment", "status-change"]
    assert "Answered" in [e.content for e in details.events if isinstance(e, DiscussionComment)]
    cleo.change_discussion_status(repo_id, 1, "open", repo_type="dataset")
    assert ada.get_discussion_details(repo_id, 1, repo_type="dataset").status == "open"


def test_pinning(ada: HfApi, cleo: HfApi, http: httpx.Client, detail: Detail, hub: LocalHub) -> None:
    """The owner of a repo can pin a thread, which is an event, and shown in list and detail; another user gets 403."""
    repo_id = make_repo(ada)
    cleo.create_discussion(repo_id, title="A question", repo_type="dataset")
    path = f"/api/datasets/{repo_id}/discussions/1/pin"
    stranger = {"Authorization": f"Bearer {TOKENS['cleo']}"}
    assert httpx.post(hub.url + path, json={"pinned": True}, headers=stranger).status_code == 403
    assert http.post(path, json={"pinned": True}).status_code == 200
    thread = detail(repo_id, 1)
    assert thread["pinned"] is True
    assert (thread["events"][-1]["type"], thread["events"][-1]["data"]) == ("pinning-change", {"pinned": True})
    assert http.get(f"/api/datasets/{repo_id}/discussions").json()["discussions"][0]["pinned"] is True


def test_locking(ada: HfApi, cleo: HfApi, http: httpx.Client, detail: Detail) -> None:
    """Only the owner of the repo can comment in a locked thread; locking is an event."""
    repo_id = make_repo(ada)
    cleo.create_discussion(repo_id, title="A question", repo_type="dataset")
    path = f"/api/datasets/{repo_id}/discussions/1/lock"
    assert http.post(path, json={"locked": True}).status_code == 200
    thread = detail(repo_id, 1)
    assert thread["locked"] is True
    assert (thread["events"][-1]["type"], thread["events"][-1]["data"]) == ("locking-change", {"locked": True})
    assert status_of(lambda: cleo.comment_discussion(repo_id, 1, "But", repo_type="dataset")) == 403
    assert ada.comment_discussion(repo_id, 1, "Enough", repo_type="dataset").content == "Enough"
    http.post(path, json={"locked": False})
    assert cleo.comment_discussion(repo_id, 1, "Thanks", repo_type="dataset").author == "cleo"


def test_deleting_a_discussion(ada: HfApi, cleo: HfApi, http: httpx.Client) -> None:
    """A deleted discussion is 404 with the message of the Hub, and its number is not used again."""
    repo_id = make_repo(ada)
    cleo.create_discussion(repo_id, title="A question", repo_type="dataset")
    assert http.delete(f"/api/datasets/{repo_id}/discussions/1").status_code in (200, 204)
    answer = http.get(f"/api/datasets/{repo_id}/discussions/1")
    assert (answer.status_code, answer.json()) == (404, {"error": "No discussion found matching num #1"})
    assert ada.create_discussion(repo_id, title="Another", repo_type="dataset").num == 2


def test_unknown_threads_and_comments_are_404(ada: HfApi, http: httpx.Client) -> None:
    """A missing thread, a missing comment and a comment of another thread are 404."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="One one", repo_type="dataset")
    other = ada.create_discussion(repo_id, title="Two two", repo_type="dataset").events[0].id
    answer = http.get(f"/api/datasets/{repo_id}/discussions/99")
    assert answer.json() == {"error": "No discussion found matching num #99"} and answer.status_code == 404
    assert status_of(lambda: ada.comment_discussion(repo_id, 99, "x", repo_type="dataset")) == 404
    for comment in ("f" * 24, other):
        call = lambda c=comment: ada.edit_discussion_comment(repo_id, 1, c, "x", repo_type="dataset")  # noqa: E731
        assert status_of(call) == 404


@pytest.mark.parametrize("title", ["ab", "x" * 201, "", "   "])
def test_titles_have_3_to_200_characters(ada: HfApi, http: httpx.Client, title: str) -> None:
    """Shorter and longer titles are 400, for new threads and for new titles."""
    repo_id = make_repo(ada)
    body = {"title": title, "description": "d", "pullRequest": False}
    assert http.post(f"/api/datasets/{repo_id}/discussions", json=body).status_code == 400
    ada.create_discussion(repo_id, title="A good title", repo_type="dataset")
    assert http.post(f"/api/datasets/{repo_id}/discussions/1/title", json={"title": title}).status_code == 400


def test_comments_have_1_to_65536_characters(ada: HfApi, http: httpx.Client) -> None:
    """Comments and descriptions of up to 65,536 characters are accepted; longer ones and empty comments are 400."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", description="d" * 65536, repo_type="dataset")
    path = f"/api/datasets/{repo_id}/discussions"
    assert http.post(f"{path}/1/comment", json={"comment": "c" * 65536}).status_code == 201
    for comment in ("c" * 65537, ""):
        assert http.post(f"{path}/1/comment", json={"comment": comment}).status_code == 400
    body = {"title": "Too long", "description": "d" * 65537, "pullRequest": False}
    assert http.post(path, json=body).status_code == 400


def test_an_invalid_status_is_400(ada: HfApi, http: httpx.Client) -> None:
    """Changing the status of a thread to anything but open or closed is 400."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    for status in ("merged", "draft", "", 3, None):
        answer = http.post(f"/api/datasets/{repo_id}/discussions/1/status", json={"status": status})
        assert answer.status_code == 400, status


def test_writing_in_threads_needs_a_token(ada: HfApi, hub: LocalHub) -> None:
    """An anonymous caller can read a thread, and gets 401 for writing in it."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    base = f"{hub.url}/api/datasets/{repo_id}/discussions"
    assert httpx.get(f"{base}/1").status_code == 200
    assert httpx.post(base, json={"title": "Hello there", "description": "x"}).status_code == 401
    for action, body in [("comment", {"comment": "x"}), ("status", {"status": "closed"}), ("title", {"title": "xyz"})]:
        assert httpx.post(f"{base}/1/{action}", json=body).status_code == 401


def test_a_markdown_comment_is_rendered_without_scripts(ada: HfApi, cleo: HfApi) -> None:
    """`latest.html` has no scripts, images or `javascript:` links of a comment; code and tables are rendered."""
    repo_id = make_repo(ada)
    evil = "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) `code`"
    evil += "\n\n| a |\n|---|\n| b |"
    discussion = cleo.create_discussion(repo_id, title="<b>Title</b>", description=evil, repo_type="dataset")
    html = discussion.events[0].rendered  # type: ignore[attr-defined]
    assert "<script" not in html and "<img" not in html and 'href="javascript' not in html
    assert "<code>code</code>" in html and "<table>" in html


def test_the_detail_marks_who_belongs_to_the_repo(ada: HfApi, bob: HfApi, cleo: HfApi, detail: Detail) -> None:
    """The author of an event has `isOrgMember` if they belong to the organisation that owns the repo."""
    repo_id = make_repo(ada, owner="board")
    cleo.create_discussion(repo_id, title="A question", repo_type="dataset")
    bob.comment_discussion(repo_id, 1, "An answer", repo_type="dataset")
    first, second = (event["author"] for event in detail(repo_id, 1)["events"])
    assert first["isOrgMember"] is False and second["isOrgMember"] is True


def test_many_events(ada: HfApi, http: httpx.Client, detail: Detail) -> None:
    """The detail of a long thread has all events, in order."""
    repo_id = make_repo(ada)
    ada.create_discussion(repo_id, title="A question", repo_type="dataset")
    for i in range(60):
        http.post(f"/api/datasets/{repo_id}/discussions/1/comment", json={"comment": f"c{i}"})
    raws = [event["data"]["latest"]["raw"] for event in detail(repo_id, 1)["events"]]
    assert raws[1:] == [f"c{i}" for i in range(60)]


def test_mark_as_read(ada: HfApi, http: httpx.Client) -> None:
    """The endpoint that marks notifications as read answers with success."""
    assert http.post("/api/discussions/mark-as-read", json={}).status_code in (200, 204)
