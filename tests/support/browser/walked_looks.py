"""The pages of a board in every look: dark, phone, 200 % zoom, without JavaScript, by keyboard, with axe-core."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

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
    "missing": "/models/org/unknown",
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 800}},
    "dark": {"viewport": {"width": 1200, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "zoom": {"viewport": {"width": 600, "height": 400}, "device_scale_factor": 2},
    "bare": {"viewport": {"width": 1200, "height": 800}, "java_script_enabled": False},
}


def looks(browser: Browser, site: str, folder: Path, only: str = "") -> None:
    """Take a picture of each page in each look; print what is too wide and what axe-core finds; use the keyboard."""
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
        by_keyboard(context.new_page(), folder)
    with browser.new_context(base_url=site, java_script_enabled=False) as context:
        without_script(context.new_page())


def without_script(page: Page) -> None:
    """Filter, pin two models and compare them by forms and links alone."""
    page.goto("/")
    page.get_by_text("Filters", exact=True).click()
    page.locator("[name=precision][value=float32]").check()
    for at in (0, 1):
        page.locator("#rows [name=pin]").nth(at).check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#pinned tr")).to_have_count(2)
    page.get_by_role("link", name="Compare the pinned models").click()
    expect(page.locator("thead th a.plain")).to_have_count(2)


def by_keyboard(page: Page, folder: Path) -> None:
    """Open and close the menu, filter, pin a model and compare it with keys alone; each step has a picture."""
    page.goto("/")
    page.locator("#rows th.model").first.wait_for()
    menu = page.locator("nav details")
    tab_to(page, "summary “More”")
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("open", "")
    page.screenshot(path=folder / "keyboard-menu.png")
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    tab_to(page, "summary “Filters”")
    page.keyboard.press("Enter")
    tab_to(page, "chat")
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("type=chat"))
    page.screenshot(path=folder / "keyboard-filters.png")
    tab_to(page, "input “Pin ")
    page.keyboard.press("Space")
    expect(page.locator("#pinned tr")).to_have_count(1)
    page.screenshot(path=folder / "keyboard-pinned.png")
    tab_to(page, "a “Compare the pinned", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare models")


def tab_to(page: Page, words: str, *, key: str = "Tab") -> None:
    """Press `key` until the focused element has the text `words`; every focused element on the way shows its focus."""
    for _ in range(120):
        page.keyboard.press(key)
        focus = str(page.evaluate(FOCUS))
        assert "outline none" not in focus, focus
        if words in focus:
            return
    raise AssertionError(f"no key leads to {words}")


FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  const words = one.getAttribute("aria-label") || one.labels?.[0]?.innerText || one.innerText || one.name;
  const outline = `${style.outlineStyle} ${style.outlineWidth}`;
  return `${one.tagName.toLowerCase()} “${(words || "").trim().slice(0, 40)}” outline ${outline}`;
}"""


def say_faults(page: Page, name: str) -> None:
    """Print what axe-core finds on the page, and whether the page is wider than the screen."""
    for violation in Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]:
        places = ", ".join(str(node["target"][0]) for node in violation["nodes"][:3])
        print(f"axe {name}: {violation['impact']} {violation['id']}: {places}")
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if width > 0:
        print(f"too wide by {width} px: {name}")
