"""The file with an attempt's token, on a file system that all users of a cluster share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.backends.slurm import SlurmPlatform
from bot.core.platforms import LaunchOrder, PlatformError
from leaderboard.backend_settings import SlurmBackend

ATTEMPT = "0123456789ab-01234567-1"
ORDER = LaunchOrder(
    attempt=ATTEMPT, tier="small", model="ada/tiny", revision="a" * 40, private=False, seconds=60,
    board_url="https://board.example", token="the token",
)  # fmt: skip


@pytest.fixture
def platform(tmp_path: Path) -> SlurmPlatform:
    """A platform whose spool folder is writable for every account."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool").chmod(0o777)
    backend = SlurmBackend(kind="slurm", template="job.sh", spool=str(tmp_path / "spool"))
    return SlurmPlatform(backend, "demo", "small", tmp_path / "spool")


def test_only_this_user_reads_the_token(platform: SlurmPlatform, tmp_path: Path) -> None:
    """Only the bot's user can read the token, even if the folder existed with other permissions."""
    (tmp_path / "spool" / "tokens").mkdir()
    (tmp_path / "spool" / "tokens").chmod(0o777)
    file = platform._write_token(ORDER)
    assert file.read_text() == "the token"
    assert [path.stat().st_mode & 0o777 for path in (file, file.parent, tmp_path / "spool" / "logs")] == [
        0o600, 0o700, 0o700,
    ]  # fmt: skip
    assert platform._write_token(ORDER) == file, "a second run replaces it"


def test_no_link_leads_the_token_elsewhere(platform: SlurmPlatform, tmp_path: Path) -> None:
    """The token is not written through a symbolic link in place of the file or of its folder."""
    tokens, stolen = tmp_path / "spool" / "tokens", tmp_path / "stolen"
    tokens.mkdir()
    stolen.write_text("")
    (tokens / f"{ATTEMPT}.new").symlink_to(stolen)
    assert platform._write_token(ORDER).read_text() == "the token"
    assert stolen.read_text() == ""
    for file in tokens.iterdir():
        file.unlink()
    tokens.rmdir()
    (tmp_path / "elsewhere").mkdir()
    tokens.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlatformError, match="is a link"):
        platform._write_token(ORDER)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_spool_that_cannot_be_written_to_is_an_error_of_the_platform(platform: SlurmPlatform, tmp_path: Path) -> None:
    """A spool that cannot be written to raises a `PlatformError`, so that only this tier is affected."""
    (tmp_path / "spool" / "tokens").write_text("a file in the place of the folder")
    with pytest.raises(PlatformError, match="cannot be written to the spool"):
        platform.launch(ORDER)


def test_an_old_folder_in_the_spool_stops_nothing(platform: SlurmPlatform, tmp_path: Path) -> None:
    """An old folder beside the logs is neither removed nor an error."""
    old = tmp_path / "spool" / "logs" / "of-the-site"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    assert platform._write_token(ORDER).read_text() == "the token"
    assert old.is_dir()
