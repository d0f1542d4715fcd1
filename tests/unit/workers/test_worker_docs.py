"""docs/operating-workers.md names every setting of a worker."""

from __future__ import annotations

from pathlib import Path

from workers.settings import WorkerSettings


def test_every_setting_stands_in_the_operators_guide(project: Path) -> None:
    """The guide names every setting."""
    text = (project / "docs" / "operating-workers.md").read_text("utf-8")
    names = set(WorkerSettings.model_fields) - {"board_file", "redis_url", "hf_endpoint", "clock"}
    missing = [f"STEWARD_{name.upper()}" for name in names if f"STEWARD_{name.upper()}" not in text]
    assert missing == []
