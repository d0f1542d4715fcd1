"""Wheels of both distributions, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.wheels import build_wheel


@pytest.fixture(scope="session")
def wheels(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheels of Steward and of localhub."""
    folder = tmp_path_factory.mktemp("wheels")
    return build_wheel(project, folder / "steward"), build_wheel(project / "localhub", folder / "localhub")
