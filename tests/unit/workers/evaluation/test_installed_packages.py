"""The packages in the results' report of the environment."""

from __future__ import annotations

import pytest
from torch.utils import collect_env

from workers.evaluation.installed_packages import list_packages_without_pip


def test_the_report_lists_the_packages_that_pip_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report lists the packages that pip lists, without running pip; its other commands still run."""
    run, commands = collect_env.run, list[object]()
    monkeypatch.setattr(collect_env, "run", lambda command: commands.append(command) or run(command))
    by_pip = collect_env.get_pip_packages(collect_env.run)
    assert "torch==" in by_pip[1] and len(commands) == 1
    list_packages_without_pip()
    assert collect_env.get_pip_packages(collect_env.run) == by_pip
    assert len(commands) == 1
    assert collect_env.get_env_info().pip_packages == by_pip[1]
    assert len(commands) > 1 and not [command for command in commands[1:] if "pip" in str(command)]
