"""Pictures of every page, to be looked at: light, dark, and on a phone.

    python tests/browser/pictures.py FOLDER [--only WORD]

Each is `FOLDER/{page}-{light|dark|phone}.png`, the whole length of the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.append(str(Path(__file__).parent / "site"))
sys.path.append(str(Path(__file__).parents[2]))
from conftest import CHROMIUM, OPTIONS
from pages_kit import PAGES
from serving_kit import Site, serving
from world_kit import furnish

from steward.valkey import Valkey

LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 800}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
}


def main() -> None:
    """Make the pictures, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="pages whose name holds this word")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="steward-pictures-") as place, Valkey(Path(place) / "valkey") as valkey:
        rich = serving(valkey, Path(place), "looked-at", furnish)
        with rich as site, serving(valkey, Path(place), "empty") as empty, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
            for look in LOOKS:
                picture(browser, look, site, {n: p for n, p in PAGES.items() if options.only in n}, options.folder)
            bare = {f"empty-{name}": path for name, path in PAGES.items() if path in ("/", "/results", "/flags")}
            picture(browser, "light", empty, {n: p for n, p in bare.items() if options.only in n}, options.folder)
            browser.close()
    print(f"The pictures are in {options.folder.resolve()}")


def picture(browser: Browser, look: str, site: Site, pages: dict[str, str], folder: Path) -> None:
    """Pictures of these pages in one look."""
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    tab = context.new_page()
    for name, path in pages.items():
        tab.goto(site.address + path)
        tab.screenshot(path=folder / f"{name}-{look}.png", full_page=True)
    context.close()


if __name__ == "__main__":
    main()
