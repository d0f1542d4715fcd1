"""Redis with a password, and with a user who has only the rights that docs/deploying.md lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from bot.core.settings import BotSettings, SettingsError
from bot.probe import Probe
from bot.setup.doctor import examine
from redis_state import jobs
from redis_state.errors import RedisMissing, SecretMissing
from redis_state.redis import connect, missing
from steward.testing.board import BoardDriver
from steward.testing.hub import board_world, open_board
from steward.valkey import Valkey

PASSWORD = "correct-horse"


class QuietWorker(SimpleWorker):
    """A worker in this process, which leaves its signals as they are."""

    def _install_signal_handlers(self) -> None:
        pass


@pytest.fixture
def restricted(valkey: Valkey, valkey_url: str, project: Path) -> str:
    """The URL of the queue server for the user that docs/deploying.md describes."""
    text = (project / "docs" / "deploying.md").read_text("utf-8")
    match = re.search(r"^user (steward) on (.*)$", text, re.MULTILINE)
    assert match is not None
    with redis.Redis.from_url(valkey_url) as admin:
        admin.execute_command(
            "ACL", "SETUSER", "steward", "reset", "on", *match[2].replace("PASSWORD", PASSWORD).split()
        )
    return f"redis://steward:{PASSWORD}@127.0.0.1:{valkey.port}/0"


def test_a_request_goes_its_way_with_a_user_of_few_rights(restricted: str, tmp_path: Path, probe: Probe) -> None:
    """The documented Redis user can run an evaluation, the doctor's checks and an RQ worker, but no other commands."""
    with (
        connect(restricted) as connection,
        open_board(board_world(), tmp_path, connection, probe, BoardDriver) as stand,
    ):
        job = stand.started()
        stand.end(job)
        checks = [check for check in examine(stand.context) if check.name.startswith("redis")]
        assert {check.state for check in checks} == {"ok"}
        queues = [jobs.queue(connection, name) for name in stand.context.queues]
        worker = QuietWorker(queues, connection=connection, serializer=JSONSerializer)
        assert worker.work(burst=True, logging_level="ERROR") in (True, False)
        for refused in (("FLUSHALL",), ("CONFIG", "GET", "*"), ("GET", "somebody-elses")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                connection.execute_command(*refused)


def test_a_wrong_password_and_an_unknown_certificate_are_told_apart_from_a_redis_that_is_away(restricted: str) -> None:
    """The errors for a wrong password (not shown), an untrusted certificate and no Redis each say what to fix."""
    with pytest.raises(RedisMissing, match="refuses the user or the password") as refused:
        connect(restricted.replace(PASSWORD, "guessed-wrong"))
    assert "guessed-wrong" not in str(refused.value)
    unknown = redis.ConnectionError("Error 1: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    assert "ssl_ca_certs" in missing("rediss://u:p@r.example/0", unknown)
    assert "Start redis-server" in missing("redis://r.example/0", redis.ConnectionError("refused"))


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    """Settings that end in `_FILE` are read from files; an error about a missing or empty file names its setting."""
    for name, words in (("url", "rediss://u:p@h/0\n"), ("secret", "new\n"), ("old", "old\n"), ("empty", " \n")):
        (tmp_path / name).write_text(words)
    settings = BotSettings(
        redis_url_file=tmp_path / "url",
        webhook_secret_file=tmp_path / "secret",
        old_webhook_secret_file=tmp_path / "old",
        bot_token_file=tmp_path / "empty",
    )
    assert settings.redis_url == "rediss://u:p@h/0"
    assert settings.secrets() == ("new", "old")
    with pytest.raises(SettingsError, match=r"STEWARD_BOT_TOKEN_FILE=.*is empty"):
        settings.token()
    with pytest.raises(SecretMissing, match=r"REDIS_URL_FILE=.*nowhere"):
        BotSettings(redis_url_file=tmp_path / "nowhere")
