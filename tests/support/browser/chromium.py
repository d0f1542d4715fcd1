"""The Chromium of this machine, and the options and the environment with which tests start it."""

from __future__ import annotations

import os
import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
COSTLY = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess")
"""Features for which Chromium starts a process or two more with every window; they take half of its processor time."""
PLAYWRIGHTS = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "OptimizationHints", "PaintHolding", "PreconnectToSearch"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "NetworkTimeServiceQuerying", "ThirdPartyStoragePartitioning"),
)
"""Features that Playwright turns off with a switch of the same name, which ours replaces."""
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    # One machine runs several browsers: start no processes and threads that help only a single browser.
    *("--in-process-gpu", "--disable-software-rasterizer", "--num-raster-threads=1", "--js-flags=--single-threaded"),
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    f"--disable-features={','.join((*COSTLY, *PLAYWRIGHTS))}",
]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
"""Under libfaketime (`make any-day`) Chromium loads no page: its clock shows the real day."""
