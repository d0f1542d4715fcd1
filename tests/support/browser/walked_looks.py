"""The pages of a board in every look: dark, phone, 200 % zoom, without JavaScript, by keyboard, with axe-core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from steward.demo.models import GOOD

MODEL = f"/models/{GOOD}"
PAGES = {
    "leaderboard": "/",
    "leaderboard-filters": "/?type=chat&type=pretrained&precision=float32&raw=1",
    "compare": "/compare?model=ada/SmolLM2-135M-Instruct&model=ada/tiny-llama-chat&model=chen/tiny-llama-base",
    "model": MODEL,
    "queue": "/queue",
    "requests": "/requests",
    "failed": "/requests?state=failed",
    "submit": "/submit",
    "check": "/check?model=bob/mamba-turbo",
    "about": "/about",
    "plots": "/plots",
    "times": "/times",
    "flags": "/flags",
    "threads-waiting": "/threads-waiting",
    "decisions": "/decisions",
    "workers": "/workers",
    "commands": "/commands",
    "missing": "/models/nobody/nothing",
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 800}},
    "dark": {"viewport": {"width": 1200, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "zoom": {"viewport": {"width": 600, "height": 400}, "device_scale_factor": 2},
    "bare": {"viewport": {"width": 1200, "height": 800}, "java_script_enabled": False},
}


def looks(browser: Browser, site: str, folder: Path, only: str = "") -> None:
    """Take a picture of each page in each look, and print what is too wide, what axe-core finds, and the focus."""
    for look, options in LOOKS.items():
        context = browser.new_context(base_url=site, reduced_motion="reduce", **options)
        page = context.new_page()
        for name, path in PAGES.items():
            if only not in name:
                continue
            page.goto(path)
            page.screenshot(path=folder / f"{look}-{name}.png", full_page=True)
            if look != "bare":
                say_faults(page, f"{look} {name}")
        context.close()
    with browser.new_context(base_url=site, viewport={"width": 1200, "height": 800}) as context:
        page = context.new_page()
        page.goto("/")
        page.locator("#rows th.model").first.wait_for()
        for at in range(24):
            page.keyboard.press("Tab")
            print(f"focus {at + 1}: {page.evaluate(FOCUS)}")
        page.screenshot(path=folder / "keyboard-leaderboard.png")


FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const words = one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.innerText || one.name;
  const outline = `${style.outlineStyle} ${style.outlineWidth}`;
  return `${one.tagName.toLowerCase()} “${(words || "").trim().slice(0, 40)}” outline ${outline}`;
}"""


def say_faults(page: Page, name: str) -> None:
    """Print what axe-core finds on the page, and whether the page is wider than the screen."""
    for one in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
        places = ", ".join(str(node["target"][0]) for node in one["nodes"][:3])
        print(f"axe {name}: {one['impact']} {one['id']}: {places}")
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if width > 0:
        print(f"too wide by {width} px: {name}")
