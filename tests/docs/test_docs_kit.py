"""The runner of documents itself: what it takes for a block, and that it notices what is not as a page says."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.docs.command_blocks import Sandbox, Unreadable, blocks, unseen

PAGE = """
```sh
export NAME=ada
mkdir -p a && cd a
```

- in a list:

  <!-- run: exit 3 -->
  ```console
  $ echo "$NAME in ${PWD##*/}"; exit 3
  ada in …
  ```

<!-- run: background until ready -->
```bash
python -c "import time; print('ready', flush=True); time.sleep(60)"
```

<!-- not run: needs a printer -->
```sh
lpr page
```
"""


def run(folder: Path, text: str) -> None:
    """Run all of a page."""
    page = folder / "page.md"
    page.write_text(text, "utf-8")
    sandbox = Sandbox(folder, {}, {})
    try:
        for block in blocks(page, folder):
            if not block.reason:
                sandbox.run(block)
    finally:
        sandbox.kill()


def test_blocks_are_found_with_what_is_said_of_them(tmp_path: Path) -> None:
    """In lists too; variables and folder go on; what goes on beside is ended."""
    run(tmp_path, PAGE)
    found = list(blocks(tmp_path / "page.md", tmp_path))
    assert [(block.language, block.reason, dict(block.clauses)) for block in found] == [
        ("sh", "", {}),
        ("console", "", {"exit": "3"}),
        ("bash", "", {"background until": "ready"}),
        ("sh", "needs a printer", {}),
    ]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("```sh\nfalse\n```", "exit status 1"),
        ("```sh\nfalse | true\n```", "exit status 1"),
        ("```console\n$ echo one\ntwo\n```", "the page shows 'two'"),
        ("<!-- run: exit 1 -->\n```sh\ntrue\n```", "exit status 0"),
        ("<!-- run: background until never -->\n```sh\ntrue\n```", "ended"),
    ],
)
def test_what_does_not_go_as_the_page_says_is_told(tmp_path: Path, page: str, words: str) -> None:
    """With the command, and all that it said."""
    with pytest.raises(AssertionError, match=words):
        run(tmp_path, page)


def test_ctrl_c_is_heard_where_the_tests_run_in_the_background(tmp_path: Path) -> None:
    """A shell has what it starts in the background ignore it, and that is handed on to all that is started there."""
    page = tmp_path / "page.md"
    page.write_text("<!-- run: background until ready -->\n```sh\necho ready; exec sleep 1000\n```", "utf-8")
    sandbox, before = Sandbox(tmp_path, {}, {}), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sandbox.run(next(iter(blocks(page, tmp_path))))
        sandbox.close()
    finally:
        signal.signal(signal.SIGINT, before)
        sandbox.kill()


@pytest.mark.parametrize(
    "page",
    ["<!-- run: twice -->\n```sh\ntrue\n```", "<!-- not run: why -->\n\nWords.", "```\n$ steward check\n```"],
)
def test_a_page_that_cannot_be_read_is_an_error(tmp_path: Path, page: str) -> None:
    """A clause that is none, a comment before no block, commands in a block that nobody would run."""
    with pytest.raises(Unreadable):
        run(tmp_path, page)


def test_what_people_see_has_to_come_in_order() -> None:
    """Spaces do not count, `…` is anything, lines may be left out."""
    said = "one   1\nnoise\ntwo 2 of 9\n"
    assert unseen(["one 1", "two … of 9"], said) is None
    assert unseen(["two 2 of 9", "one 1"], said) == "one 1"
    assert unseen(["tw"], said) == "tw"
