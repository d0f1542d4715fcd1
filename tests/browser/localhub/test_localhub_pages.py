"""Pages as a visitor of the demo uses them, in headless Chromium; with STEWARD_SCREENSHOTS each leaves a screenshot."""

from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi
from playwright.sync_api import Page, expect

from localhub.testing import LocalHub

pytestmark = pytest.mark.browser
REPO = "/datasets/board/requests"


def shoot(page: Page, pictures: Path | None, name: str) -> None:
    """Fail if the page is wider than the window; take a picture of the whole page, if pictures are wanted."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} scrolls sideways by {wide} px"
    if pictures is not None:
        page.screenshot(path=pictures / f"{name}.png", full_page=True)


def test_home_lists_repos_and_threads(page: Page, pictures: Path | None) -> None:
    """From the front page a visitor finds the repo and the latest threads."""
    page.goto("/")
    expect(page.get_by_role("link", name="board/requests").first).to_be_visible()
    expect(page.get_by_role("link", name="tiny-lab/tiny-1 (bfloat16)").first).to_be_visible()
    shoot(page, pictures, "home")


def test_a_repo_shows_its_files_and_its_card(page: Page, pictures: Path | None) -> None:
    """The page of a repo shows its folders, its newest commit and the rendered README.md."""
    page.goto(REPO)
    expect(page.get_by_role("link", name="tiny-lab")).to_be_visible()
    expect(page.get_by_text("Add three requests")).to_be_visible()
    expect(page.locator("em", has_text="queue")).to_be_visible()
    shoot(page, pictures, "repo")


@pytest.mark.long("test_a_repo_shows_its_files_and_its_card lists the files")
def test_from_the_repo_to_a_file(page: Page, pictures: Path | None) -> None:
    """From the page of a repo two clicks lead to the content of a request file."""
    page.goto(REPO)
    page.get_by_role("link", name="tiny-lab").click()
    page.get_by_role("link", name="tiny-1_eval_request").click()
    expect(page.get_by_text('"status": "PENDING"')).to_be_visible()
    shoot(page, pictures, "file")


@pytest.mark.long("test_a_pull_request_and_its_changes shows a diff")
def test_commits_and_one_commit(page: Page, pictures: Path | None) -> None:
    """The list of commits leads to the diff of one."""
    page.goto(REPO)
    page.get_by_role("link", name="Commits").click()
    expect(page.get_by_text("initial commit")).to_be_visible()
    shoot(page, pictures, "commits")
    page.get_by_role("link", name="Add three requests").click()
    expect(page.get_by_text('+  "status": "PENDING"').first).to_be_visible()
    shoot(page, pictures, "commit")


@pytest.mark.long("test_home_lists_repos_and_threads lists threads")
def test_the_community_tab(page: Page, pictures: Path | None) -> None:
    """The community tab lists open threads first; a link shows the closed ones."""
    page.goto(REPO)
    page.get_by_role("link", name="Community").click()
    expect(page.get_by_role("link", name="Add bob/mine")).to_be_visible()
    shoot(page, pictures, "community")
    page.get_by_role("link", name="closed").click()
    expect(page.get_by_role("link", name="tiny-lab/tiny-1 (bfloat16)")).to_be_visible()


def test_a_thread_is_rendered_and_harmless(page: Page, pictures: Path | None) -> None:
    """A thread shows tables and code rendered, a script in a comment as text, edits and the status."""
    page.goto(f"{REPO}/discussions/1")
    expect(page.get_by_role("cell", name="boolean expressions")).to_be_visible()
    expect(page.get_by_text("lm_eval --model hf")).to_be_visible()
    expect(page.get_by_text("<script>document.title")).to_be_visible()
    assert "owned" not in page.title()
    expect(page.get_by_text("edited").first).to_be_visible()
    expect(page.locator(".badge.closed")).to_be_visible()
    shoot(page, pictures, "thread")


def test_a_pull_request_and_its_changes(page: Page, pictures: Path | None) -> None:
    """The conversation shows the commit and the merge box; the other tab shows the diff."""
    page.goto(f"{REPO}/discussions/2")
    expect(page.get_by_text("Please evaluate my model.")).to_be_visible()
    expect(page.get_by_role("button", name="Merge")).to_be_visible()
    shoot(page, pictures, "pull-request")
    page.get_by_role("link", name="Files changed").click()
    expect(page.get_by_text("CANCELLED")).to_be_visible()
    shoot(page, pictures, "pull-request-files")


def test_commenting_as_a_chosen_account(page: Page, hub: LocalHub) -> None:
    """The box posts as the account in the menu; the API shows the same comment."""
    page.goto(f"{REPO}/discussions/1")
    page.get_by_label("Write a comment").fill("A word from **bob** & me")
    page.locator("#reply").get_by_label("Account to act as").select_option("bob")
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_text("A word from bob & me")).to_be_visible()
    events = (
        HfApi(endpoint=hub.url, token=False).get_discussion_details("board/requests", 1, repo_type="dataset").events
    )
    assert (events[-1].author, getattr(events[-1], "content", None)) == ("bob", "A word from **bob** & me")


@pytest.mark.long("test_commenting_as_a_chosen_account sends a form")
def test_starting_a_discussion(page: Page, pictures: Path | None) -> None:
    """A new discussion opens at its own page."""
    page.goto(f"{REPO}/discussions")
    page.get_by_role("link", name="New discussion").click()
    page.get_by_label("Title").fill("How long is the queue?")
    page.get_by_label("What is it about?").fill("Just asking.")
    shoot(page, pictures, "new-discussion")
    page.get_by_role("button", name="Start discussion").click()
    expect(page.get_by_role("heading", name="How long is the queue?")).to_be_visible()


def test_merging_a_pull_request(page: Page, hub: LocalHub, pictures: Path | None) -> None:
    """A maintainer merges a pull request by one click, and its file is on main."""
    bob = HfApi(endpoint=hub.url, token="hf_bob")
    info = bob.upload_file(
        path_or_fileobj=b"n", path_in_repo="new.txt", repo_id="board/requests", repo_type="dataset", create_pr=True
    )
    page.goto(f"{REPO}/discussions/{info.pr_num}")
    page.locator(".merge-box").get_by_label("Account to act as").select_option("ada")
    page.get_by_role("button", name="Merge").click()
    expect(page.locator(".badge.merged")).to_be_visible()
    shoot(page, pictures, "merged")
    assert "new.txt" in bob.list_repo_files("board/requests", repo_type="dataset")


@pytest.mark.long("tests/integration/localhub has the conflicts")
def test_a_conflict_is_explained(page: Page, hub: LocalHub, pictures: Path | None) -> None:
    """A pull request with conflicts names the conflicting files and has no merge button."""
    ada = HfApi(endpoint=hub.url, token="hf_ada")
    options = {"path_in_repo": "README.md", "repo_id": "board/requests", "repo_type": "dataset"}
    info = ada.upload_file(path_or_fileobj=b"# One\n", create_pr=True, **options)
    ada.upload_file(path_or_fileobj=b"# Two\n", **options)
    page.goto(f"{REPO}/discussions/{info.pr_num}")
    expect(page.get_by_text("has conflicts")).to_be_visible()
    expect(page.locator(".merge-box code", has_text="README.md")).to_be_visible()
    expect(page.get_by_role("button", name="Merge")).to_have_count(0)
    shoot(page, pictures, "conflict")


@pytest.mark.long("tests/integration/localhub has the deliveries")
def test_webhook_activity(page: Page, pictures: Path | None) -> None:
    """The owner, chosen in the menu, sees each delivery and its outcome."""
    page.goto("/")
    page.locator("details.account-menu summary").click()
    page.get_by_role("link", name="ada", exact=True).click()
    page.goto("/settings/webhooks")
    page.get_by_role("link", name="http://127.0.0.1:9/hook").click()
    expect(page.get_by_text("discussion.comment").first).to_be_visible()
    shoot(page, pictures, "webhook")


@pytest.mark.parametrize(
    "path", [f"{REPO}/discussions/1", "/", REPO, f"{REPO}/discussions", f"{REPO}/discussions/2/files"]
)
def test_pages_fit_a_phone(page: Page, pictures: Path | None, path: str) -> None:
    """No page is wider than a window of 390 pixels."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(path)
    shoot(page, pictures, "phone" + path.replace("/", "-"))


def test_a_missing_page_is_html_for_people_and_json_for_programs(hub: LocalHub) -> None:
    """A missing page is 404 with HTML in a browser, and JSON from the API."""
    html = httpx.get(f"{hub.url}/datasets/board/none", headers={"Accept": "text/html"})
    assert html.status_code == 404 and "text/html" in html.headers["content-type"]
    assert httpx.get(f"{hub.url}/api/datasets/board/none").headers["content-type"] == "application/json"


def test_forms_of_other_sites_are_refused(hub: LocalHub) -> None:
    """A page on another site cannot post in a visitor's name."""
    answer = httpx.post(
        f"{hub.url}{REPO}/discussions/1",
        data={"comment": "spam", "as": "ada", "action": "comment"},
        headers={"Origin": "https://evil.example"},
    )
    assert answer.status_code == 403
