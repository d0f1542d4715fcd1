"""Takes pictures of the pages of boards of several kinds, for people to look at.

    python -m tests.support.side_by_side.pictures FOLDER [--only BOARD]

Each board runs in real processes, and everything is submitted to it; then each page is `FOLDER/{board}-{page}.png`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser.chromium import CHROMIUM, OPTIONS
from tests.support.browser.walk import sign_in
from tests.support.side_by_side.boards import RunningBoard, side_by_side
from tests.support.side_by_side.kinds import BROKEN, BY_FORM, GOOD, KINDS
from tests.support.side_by_side.submitting import submit_all


def main() -> None:
    """Run the boards, submit, and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="the name of one board")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    kinds = [kind for kind in KINDS if options.only in ("", kind.name)]
    with tempfile.TemporaryDirectory(prefix="steward-boards-") as place, side_by_side(Path(place), kinds) as boards:
        submit_all(boards)
        boards.wait(lambda: all(board.ended(*GOOD, BROKEN) for board in boards.running))
        boards.wait(lambda: all(len(board.api("/leaderboard")["rows"]) == len(GOOD) for board in boards.running))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            for board in boards.running:
                look_at(browser, board, options.folder)
            browser.close()
    print(f"The pictures are in {options.folder.resolve()}")


def pages_of(board: RunningBoard) -> dict[str, str]:
    """The pages that a signed-out visitor sees: name → address."""
    pages = {"leaderboard": "/", "queue": "/queue", "about": "/about", "workers": "/workers", "requests": "/requests"}
    pages |= {"compare": "/compare?" + "&".join(f"add={model}" for model in GOOD[:2])}
    pages |= {"model": f"/models/{BY_FORM}", "request": f"/requests/{board.kind.path(BY_FORM)}"}
    pages |= {"failed": f"/requests/{board.kind.path(BROKEN)}", "plots": "/plots", "times": "/times"}
    return pages | ({"seasons": "/seasons"} if board.kind.takes_predictions else {})


def look_at(browser: Browser, board: RunningBoard, folder: Path) -> None:
    """Take the pictures of one board."""
    context = browser.new_context(base_url=board.url, viewport={"width": 1200, "height": 800})
    page = context.new_page()
    for name, address in pages_of(board).items():
        page.goto(address)
        picture(page, folder / f"{board.kind.name}-{name}.png")
        if name == "leaderboard":
            for part in ("Filters", "Columns"):
                page.get_by_text(part, exact=True).click()
            picture(page, folder / f"{board.kind.name}-filters.png")
    sign_in(page, "ada", "/submit")
    picture(page, folder / f"{board.kind.name}-form.png")
    page.goto("/mine")
    picture(page, folder / f"{board.kind.name}-mine.png")
    context.close()


def picture(page: Page, file: Path) -> None:
    """Save a picture of the whole page, once it is loaded."""
    page.wait_for_load_state("load")
    page.screenshot(path=file, full_page=True)


if __name__ == "__main__":
    main()
