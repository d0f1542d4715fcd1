"""Takes pictures of every page for people to look at: light, dark, and on a phone.

    python -m tests.support.browser.screenshots FOLDER [--only WORD]
    python -m tests.support.browser.screenshots docs/pictures --readme

Each is `FOLDER/{page}-{light|dark|phone}.png`, the whole length of the page. The README shows the tops of some
pages, and a discussion in which the bot answers. Symbols need a font with emoji.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import redis
from huggingface_hub import constants
from playwright.sync_api import Browser, FloatRect, sync_playwright

from steward.testing.board import REQUESTS
from steward.testing.probe import shared_probe
from steward.valkey import Valkey
from tests.support.board.transcripts import LOST, transcript_board
from tests.support.browser.chromium import CHROMIUM, OPTIONS
from tests.support.browser.seeded_large_board import LONG, fill_board, path_of
from tests.support.browser.served_site import ServedSite, serving
from tests.support.browser.site_pages import PAGES

README = {
    "leaderboard": ("/", "light"),
    "compare": ("/compare?model=mira/Qwen3-32B-coder&model=bob/gemma-2-70B-Instruct", "light"),
    "queue": ("/queue", "light"),
    "model": ("/models/mira/Qwen3-32B-coder", "dark"),
    "times": ("/times", "light"),
    "failed": (f"/requests/{path_of('01-ai/Mistral-Nemo-1.5B-chat')}", "light"),
}
SHOWN = FloatRect(x=0, y=0, width=1200, height=900)
"""The part of a page that the README shows."""
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 800}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
}


def main() -> None:
    """Take the pictures, and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="pages whose name holds this word")
    parser.add_argument("--readme", action="store_true", help="those of the README alone")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="steward-pictures-") as place, Valkey(Path(place) / "valkey") as valkey:
        longest = "ada/Llama-3.1-8B-Instruct-DPO" if options.readme else LONG
        rich = serving(valkey, Path(place), "looked-at", partial(fill_board, longest=longest))
        with rich as site, serving(valkey, Path(place), "empty") as empty, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            for name, (path, look) in README.items() if options.readme else ():
                picture(browser, look, site, {name: path}, options.folder, clip=SHOWN)
            for look in LOOKS if not options.readme else ():
                picture(browser, look, site, {n: p for n, p in PAGES.items() if options.only in n}, options.folder)
            bare = {f"empty-{name}": path for name, path in PAGES.items() if path in ("/", "/queue", "/flags")}
            if not options.readme:
                picture(browser, "light", empty, {n: p for n, p in bare.items() if options.only in n}, options.folder)
            if options.readme:
                thread(browser, valkey, Path(place) / "thread", options.folder)
            browser.close()
    print(f"The pictures are in {options.folder.resolve()}")


def thread(browser: Browser, valkey: Valkey, place: Path, folder: Path) -> None:
    """Save a picture of a discussion on a local Hub, in which the bot answers a user's question about a failure."""
    constants.HF_HUB_DISABLE_XET = True  # localhub has no Xet storage
    place.mkdir()
    with redis.Redis.from_url(valkey.url) as connection, transcript_board(place, connection, shared_probe()) as people:
        path = people.submit("ada/aurora-1b", model_type="pretrained")
        people.run(path, LOST)
        talk = people.open("ada", "My evaluation failed", f"Hi! This one failed over night: {people.link(path)}")
        people.run(path)
        talk.look()
        context = browser.new_context(color_scheme="light", viewport={"width": 1000, "height": 800})
        tab = context.new_page()
        tab.goto(f"{people.stand.hub.url}/datasets/{REQUESTS}/discussions/{talk.number}")
        tab.screenshot(path=folder / "thread.png", full_page=True, clip=FloatRect(x=0, y=0, width=1000, height=885))
        context.close()


def picture(
    browser: Browser, look: str, site: ServedSite, pages: dict[str, str], folder: Path, *, clip: FloatRect | None = None
) -> None:
    """Save pictures of these pages in one look: of the whole page, or of a part of it."""
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    tab = context.new_page()
    for name, path in pages.items():
        tab.goto(site.address + path)
        file = f"{name}-{look}.png" if clip is None else f"{name}.png"
        tab.screenshot(path=folder / file, full_page=True, clip=clip)
    context.close()


if __name__ == "__main__":
    main()
