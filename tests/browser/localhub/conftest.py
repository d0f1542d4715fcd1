"""A localhub with a board in it, for the tests of its pages."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from playwright.sync_api import Browser, Page

from localhub.testing import HubWorld, LocalHub

WORLD = (
    HubWorld()
    .user("ada", fullname="Ada L")
    .user("bob", fullname="Bob B")
    .user("steward-bot", fullname="Steward")
    .org("board", {"ada": "admin", "steward-bot": "write"}, fullname="The Board")
    .repo("dataset", "board/requests", {"README.md": "# Requests\n\nThe *queue*.\n"})
    .webhook("ada", "http://127.0.0.1:9/hook", ("org", "board"))
)
STATUS = """**Status: finished** — average 41.3

| task | shots | score |
|---|---:|---:|
| boolean expressions | 3 | 52.5 |
| word sorting | 3 | 30.0 |

```
lm_eval --model hf --tasks starter
```

Nothing for you to do. [The results](/datasets/board/requests) are public.
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A board's request repo with a finished thread, a pull request, and a comment that tries to break the page."""
    with LocalHub(tmp_path_factory.mktemp("hub"), WORLD) as running:
        fill_board(running)
        yield running


def fill_board(hub: LocalHub) -> None:
    """Write the files and threads that the tests read."""
    bot, bob, ada = (HfApi(endpoint=hub.url, token=f"hf_{name}") for name in ("steward-bot", "bob", "ada"))
    repo = "board/requests"

    def request(model: str, status: str) -> CommitOperationAdd:
        content = {"model": model, "precision": "bfloat16", "status": status}
        path = f"{model}_eval_request_False_bfloat16_Original.json"
        return CommitOperationAdd(path, json.dumps(content, indent=2).encode() + b"\n")

    models = ["tiny-lab/tiny-1", "tiny-lab/tiny-2", "big/big-7b"]
    bot.create_commit(
        repo, [request(m, "PENDING") for m in models], commit_message="Add three requests", repo_type="dataset"
    )
    thread = bot.create_discussion(repo, title="tiny-lab/tiny-1 (bfloat16)", description=STATUS, repo_type="dataset")
    bob.comment_discussion(
        repo, 1, "Thanks! <script>document.title='owned'</script> When is the next one?", repo_type="dataset"
    )
    bot.edit_discussion_comment(repo, 1, thread.events[0].id, STATUS + "\nUpdated.", repo_type="dataset")
    ada.change_discussion_status(repo, 1, "closed", repo_type="dataset")
    bob.create_commit(
        repo,
        [request("bob/mine", "PENDING"), request("big/big-7b", "CANCELLED")],
        commit_message="Add bob/mine",
        commit_description="Please evaluate my model.",
        create_pr=True,
        repo_type="dataset",
    )


@pytest.fixture
def page(browser: Browser, hub: LocalHub) -> Iterator[Page]:
    """A new page, whose console must have no errors in the end."""
    context = browser.new_context(base_url=hub.url, viewport={"width": 1200, "height": 900})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    yield tab
    context.close()
    assert problems == []


@pytest.fixture(scope="session")
def pictures() -> Path | None:
    """The folder for screenshots, `STEWARD_SCREENSHOTS`; None: none are wanted."""
    if chosen := os.environ.get("STEWARD_SCREENSHOTS"):
        Path(chosen).mkdir(parents=True, exist_ok=True)
        return Path(chosen)
    return None
