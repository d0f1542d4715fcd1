"""`steward doctor` finds faults of worker backends, planted in a board with a Jobs and a Slurm backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bot.backends.connecting import build_platforms
from bot.core.settings import BotSettings
from bot.setup.doctor.backends import backends, reached
from bot.setup.doctor.findings import Check
from leaderboard.backend_settings import JobsBackend, SlurmBackend
from leaderboard.backend_troubles import AWAY_SECONDS, BackendTrouble
from localhub.jobs.runner import JobSettings
from steward.testing.board import BOT, WORKER, BoardDriver

COSTS = {"hourly": 2.0, "by_day": 100.0}
JOBS: dict[str, Any] = {"kind": "jobs", "namespace": "board", "flavor": "cpu-basic", "image": "steward", "costs": COSTS}
PROGRAMS = {"squeue": "#!/bin/sh\n", "sacct": "#!/bin/sh\n", "sbatch": "#!/bin/sh\nexit 1\n", "scancel": "#!/bin/sh\n"}


@dataclass
class BackendWard:
    """A board with a backend of each kind, the settings of its sync process, and fake programs of Slurm."""

    stand: BoardDriver
    folder: Path
    changes: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=lambda: dict(JOBS))
    answer: str = ""

    def examine(self) -> list[Check]:
        """What the doctor says about backends."""
        context = self.stand.context
        slurm = {"kind": "slurm", "template": str(self.folder / "attempt.sbatch"), "spool": str(self.folder / "spool")}
        both = {"medium": JobsBackend.model_validate(self.jobs), "large": SlurmBackend.model_validate(slurm)}
        context.board = context.board.model_copy(update={"backends": both, "attempt_seconds": 36_000})
        fields = {"hf_endpoint": self.stand.hub.url, "bot_token": BOT, "worker_token": WORKER, "webhook_secret": "s",
                  "public_url": "https://board.example", **self.changes}  # fmt: skip
        settings = BotSettings(_env_file=None, **fields)
        return list(backends(context, lambda: build_platforms(settings, context.board), lambda _: self.answer))

    def token(self, **fields: Any) -> None:
        """Let the board start Jobs with another token of the bot's account."""
        accounts = self.stand.hub.state.accounts
        owner = accounts.by_name("steward-bot")
        assert owner is not None
        accounts.add_token(owner, "hf_jobs", fields)
        self.changes["jobs_token"] = "hf_jobs"

    def trouble(self, **fields: Any) -> None:
        """Record a trouble of the Jobs tier, as the sync process does, some time ago."""
        since = self.stand.time - 2 * AWAY_SECONDS
        self.stand.context.backend_runs.put_trouble(BackendTrouble("medium", since, **fields))


@pytest.fixture
def ward(stand: BoardDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BackendWard:
    """A board whose backends work."""
    stand.hub.state.jobs.configure(JobSettings(images={"steward": []}, flavors={"cpu-basic": 167}))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in PROGRAMS.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    (tmp_path / "attempt.sbatch").write_text("#!/bin/sh\nsteward work --once $STEWARD_ATTEMPT\n")
    monkeypatch.setenv("PATH", str(programs))
    return BackendWard(stand, tmp_path)


def test_backends_that_work_are_well(ward: BackendWard) -> None:
    """The doctor reports no fault of backends that work."""
    assert [check for check in ward.examine() if check.state != "ok"] == []


def no_address(ward: BackendWard) -> None:
    ward.changes["public_url"] = ""


def unencrypted_address(ward: BackendWard) -> None:
    ward.changes["public_url"] = "http://board.example"
    ward.stand.context.hub.session.endpoint = "https://hub.example"


def silent_address(ward: BackendWard) -> None:
    ward.answer = "connection refused"


def no_webhook_secret(ward: BackendWard) -> None:
    ward.changes["webhook_secret"] = None


def no_worker_token(ward: BackendWard) -> None:
    ward.changes["worker_token"] = None


def token_that_may_only_read(ward: BackendWard) -> None:
    ward.token(role="read")


def token_without_jobs(ward: BackendWard) -> None:
    ward.token(role="fineGrained", scoped=[{"entity": {"name": "board", "type": "org"}, "permissions": ["repo.write"]}])


def dead_token(ward: BackendWard) -> None:
    ward.changes["jobs_token"] = "hf_dead"


def unknown_namespace(ward: BackendWard) -> None:
    ward.jobs["namespace"] = "elsewhere"


def unknown_flavor(ward: BackendWard) -> None:
    ward.jobs["flavor"] = "abacus"


def no_price(ward: BackendWard) -> None:
    ward.jobs["costs"] = {}


def no_limit(ward: BackendWard) -> None:
    ward.jobs["costs"] = {"hourly": 2.0}


def limit_below_one_run(ward: BackendWard) -> None:
    ward.jobs["costs"] = {**COSTS, "by_day": 10.0}


def short_runs(ward: BackendWard) -> None:
    ward.jobs["costs"] = {**COSTS, "by_attempt": 0.5}


def limit_of_the_day_reached(ward: BackendWard) -> None:
    ward.trouble(blocked="by_day")


def runs_that_end_at_once(ward: BackendWard) -> None:
    ward.trouble(failing=("0123456789ab-01234567-1",))


def platform_that_is_silent(ward: BackendWard) -> None:
    ward.trouble(error="The Hub answers 503.")


def other_tasks(ward: BackendWard) -> None:
    ward.trouble(blocked="tasks")


def no_template(ward: BackendWard) -> None:
    (ward.folder / "attempt.sbatch").unlink()


def template_that_is_no_script(ward: BackendWard) -> None:
    (ward.folder / "attempt.sbatch").write_text("steward work --once $STEWARD_ATTEMPT\n")


def no_sbatch(ward: BackendWard) -> None:
    (ward.folder / "programs" / "sbatch").unlink()


def squeue_that_fails(ward: BackendWard) -> None:
    (ward.folder / "programs" / "squeue").write_text("#!/bin/sh\necho Unable to contact slurm controller >&2\nexit 1\n")


def spool_that_is_a_file(ward: BackendWard) -> None:
    (ward.folder / "spool").write_text("")


FAULTS: list[tuple[Callable[[BackendWard], None], str]] = [
    (no_address, "Set STEWARD_PUBLIC_URL"),
    (unencrypted_address, "set STEWARD_PUBLIC_URL to their https address"),
    (silent_address, "connection refused. Start `steward serve`"),
    (no_webhook_secret, "STEWARD_WEBHOOK_SECRET"),
    (no_worker_token, "STEWARD_WORKER_TOKEN"),
    (token_that_may_only_read, "may not start Jobs of board"),
    (token_without_jobs, "may not start Jobs of board"),
    (dead_token, "does not say who may start Jobs"),
    (unknown_namespace, "may not start Jobs of elsewhere"),
    (unknown_flavor, "no hardware abacus for Jobs: it has cpu-basic"),
    (no_price, "costs: {hourly"),
    (no_limit, "Write `by_day` or `by_month`"),
    (limit_below_one_run, "may cost 20.00, more than `by_day`: none ever starts. Raise `by_day`"),
    (short_runs, "evaluations of 11 minutes"),
    (limit_of_the_day_reached, "raise the limit in the board file"),
    (runs_that_end_at_once, "Read the log of such a run"),
    (platform_that_is_silent, "503"),
    (other_tasks, "`steward tasks`"),
    (no_template, "attempt.sbatch, which is no file"),
    (template_that_is_no_script, "does not begin with #!"),
    (no_sbatch, "sbatch cannot be found on this machine"),
    (squeue_that_fails, "Unable to contact slurm controller"),
    (spool_that_is_a_file, "cannot be written to"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
def test_a_planted_fault_is_found_and_the_line_says_how_to_mend_it(
    ward: BackendWard, fault: Callable[[BackendWard], None], words: str
) -> None:
    """The doctor reports each planted fault of a backend, with what to do about it."""
    fault(ward)
    checks = [check for check in ward.examine() if check.state != "ok"]
    assert words in " ".join(f"{check.words} {check.mend}" for check in checks)
    assert all(check.mend for check in checks)


def test_the_web_server_is_asked(web: httpx2.Client) -> None:
    """The doctor's check of the public address accepts a server that answers, and rejects other addresses."""
    address = str(web.base_url).rstrip("/")
    assert reached(address) == ""
    assert reached(f"{address}/nowhere") == "the answer to /healthz is 404"
    assert reached("http://127.0.0.1:9") and reached("http://[x")
