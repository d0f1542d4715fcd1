"""The demo, end to end, started as people start it and checked from outside. The last test ends it.

In `make test` the model that works is a tiny one, evaluated on two of the suite's tasks; `make chaos` runs the whole.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
import redis
from huggingface_hub import CommitOperationAdd, HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from leaderboard.suites import Suite, find_suite
from redis_state.keys import Keys
from steward.demo.models import CORRUPTED, GOOD
from steward.demo.story import SUBMISSIONS
from steward.demo.world import BOT, DETAILS_ORG, LOGS, MAINTAINER, QUESTIONS, REQUESTS, RESULTS, SPACE, WORKER
from steward.testing.waiting import wait_until
from tests.support.demo_run import Demo, cache_tiny_model, play
from workers.evaluation.task_files import write_tasks

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
KEYS = Keys("open-board")
SOME = ("starter_boolean_expressions", "starter_object_counting")
"""Two of the suite's tasks: one chooses among answers, one writes its own."""


@pytest.fixture(
    scope="module",
    params=[
        "two-benchmarks",
        pytest.param("starter", marks=pytest.mark.long("the real model and the whole suite")),
    ],
)
def suite_name(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The suite of the demo: the one that comes with Steward, or a file with two benchmarks of it."""
    if request.param == "starter":
        return "starter"
    whole = find_suite("starter").model_dump(mode="json", exclude_defaults=True)
    some = {
        "name": "starter-some",
        "benchmarks": [benchmark for benchmark in whole["benchmarks"] if benchmark["source"] in SOME],
        "definitions": [definition for definition in whole["definitions"] if definition["task"] in SOME],
    }
    file = tmp_path_factory.mktemp("suite") / "some.yaml"
    file.write_text(json.dumps({**whole, **some}))
    return str(file)


@pytest.fixture(scope="module")
def suite(suite_name: str) -> Suite:
    """The suite that the demo evaluates."""
    return find_suite(suite_name)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, suite_name: str) -> Iterator[Demo]:
    """A demo whose submissions have ended, and which goes on serving: with its real model or with a tiny one."""
    cache = None if suite_name == "starter" else cache_tiny_model(tmp_path_factory.mktemp("cache"))
    yield from play(tmp_path_factory.mktemp("demo"), suite_name, cache)


@pytest.fixture(scope="module")
def anybody(demo: Demo) -> HfApi:
    """A client without a token."""
    return HfApi(demo.hub, token=False)


@pytest.fixture(scope="module")
def published(demo: Demo, anybody: HfApi, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The published results of the model that works, read from the results repo."""
    names = anybody.list_repo_files(RESULTS, repo_type="dataset")
    (name,) = (name for name in names if name.endswith(".json"))
    folder = tmp_path_factory.mktemp("results")
    path = hf_hub_download(RESULTS, name, repo_type="dataset", endpoint=demo.hub, token=False, local_dir=folder)
    results: dict[str, Any] = json.loads(Path(path).read_text())
    return results


def thread_of(anybody: HfApi, request: dict[str, Any]) -> Any:
    """The thread of one request, with its events."""
    return anybody.get_discussion_details(REQUESTS, int(request["thread"].rpartition("/")[2]), repo_type="dataset")


def statuses(anybody: HfApi, path: str, folder: Path) -> list[str]:
    """The status in each version of a request file, the first version first."""
    seen: dict[str, str] = {}
    for commit in reversed(anybody.list_repo_commits(REQUESTS, repo_type="dataset")):
        for file in anybody.get_paths_info(REQUESTS, path, repo_type="dataset", revision=commit.commit_id):
            if file.blob_id not in seen:
                place = anybody.hf_hub_download(
                    REQUESTS, path, repo_type="dataset", revision=commit.commit_id, cache_dir=folder
                )
                seen[file.blob_id] = json.loads(Path(place).read_text())["status"]
    return list(seen.values())


def test_every_submission_ends_as_it_should(demo: Demo, suite: Suite) -> None:
    """One model of the demo has scores, three are FAILED with their causes, and each has a thread."""
    ends = {
        request["model"]: (request["status"], (request["failure"] or {}).get("cause"))
        for request in demo.result["requests"]
    }
    assert ends == {submission.model: (submission.status, submission.cause) for submission in SUBMISSIONS}
    assert all(request["thread"] and request["right"] for request in demo.result["requests"])
    assert len(demo.good["scores"]["benchmarks"]) == len(suite.benchmarks) >= 2


def test_a_request_takes_three_commits_and_has_one_status_comment(demo: Demo, anybody: HfApi, tmp_path: Path) -> None:
    """PENDING, RUNNING and FINISHED are three commits; each thread holds one comment of the bot, which was edited."""
    (path,) = (submission.path for submission in SUBMISSIONS if submission.model == demo.good["model"])
    assert statuses(anybody, path, tmp_path) == ["PENDING", "RUNNING", "FINISHED"]
    for request in demo.result["requests"]:
        bots = [e for e in thread_of(anybody, request).events if e.type == "comment" and e.author == BOT]
        assert len(bots) == 1
    assert "✅ Finished" in thread_of(anybody, demo.good).events[0].content
    failed = [request for request in demo.result["requests"] if request["failure"]]
    for request in failed:
        words = "\n".join(e.content for e in thread_of(anybody, request).events if e.type == "comment")
        assert request["failure"]["message"].split(".")[0][:30] in words.replace("\\", "").replace("\u200b", "")


def test_an_outsiders_request_is_followed_in_its_pull_request(demo: Demo, anybody: HfApi) -> None:
    """The thread of a request that came by pull request is that pull request, which is merged."""
    model = next(submission.model for submission in SUBMISSIONS if submission.by_pull_request)
    request = next(request for request in demo.result["requests"] if request["model"] == model)
    thread = thread_of(anybody, request)
    assert thread.is_pull_request
    assert thread.status == "merged"


def test_anybody_can_load_the_details(demo: Demo, suite: Suite, published: dict[str, Any]) -> None:
    """`datasets.load_dataset` reads each task's answers, by config, and the latest run's scores, without a token."""
    script = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
repo = sys.argv[1]
configs = get_dataset_config_names(repo)
rows = {config: load_dataset(repo, config, split="latest").num_rows for config in configs}
first = load_dataset(repo, sys.argv[2], split="latest")[0]
print(json.dumps({"rows": rows, "columns": sorted(first)}))
"""
    repo = f"{DETAILS_ORG}/details_{demo.good['model'].replace('/', '__')}"
    details = json.loads(demo.python(script, repo, suite.tasks[0]).splitlines()[-1])
    assert set(details["rows"]) == {*suite.tasks, "results"}
    assert all(details["rows"][task] >= 40 for task in suite.tasks)
    assert published["steward"]["model"] == demo.good["model"]


@pytest.mark.long("imports the harness once more; test_scores compares too")
def test_the_scores_are_those_of_the_lm_eval_command(
    demo: Demo, suite: Suite, published: dict[str, Any], tmp_path: Path
) -> None:
    """The `lm_eval` command gives the same numbers, digit for digit, for model, revision, tasks, shots and dtype.

    For the worker alone, without the demo around it, `make test` compares them in tests/integration/workers.
    """
    block, tasks = published["steward"], suite.tasks
    folder = write_tasks(suite, tmp_path / "tasks", repo=QUESTIONS, revision=block["datasets"][QUESTIONS])
    arguments = f"pretrained={block['model']},revision={block['revision']},dtype=float32"
    command = ["--model", "hf", "--model_args", arguments, "--tasks", ",".join(tasks), "--device", "cpu"]
    command += ["--include_path", str(folder), "--output_path", str(tmp_path / "out"), "--batch_size", "1"]
    script = "import sys; from lm_eval.__main__ import cli_evaluate; sys.exit(cli_evaluate())"
    demo.python(script, *command, HF_HOME=str(tmp_path / "home"))
    (file,) = (tmp_path / "out").rglob("results_*.json")
    theirs = json.loads(file.read_text())["results"]
    print(json.dumps({"lm_eval": theirs, "steward": published["results"]}, indent=1))
    assert set(theirs) == set(tasks)
    assert theirs == {name: published["results"][name] for name in theirs}


def deliveries(connection: redis.Redis) -> list[tuple[str, bytes]]:
    """The deliveries that the bot has stored: id and body."""
    return [(fields[b"id"].decode(), fields[b"body"]) for _, fields in connection.xrange(KEYS.inbox)]


def test_the_same_delivery_five_times_changes_nothing(demo: Demo, anybody: HfApi) -> None:
    """Stored deliveries, sent again five times with and without their ids, cause no commit and no comment."""
    url = demo.world()["webhooks"][0]["url"]
    secret = demo.world()["webhooks"][0]["secret"]
    redis_port = (demo.folder / "valkey-port").read_text()
    connection = redis.Redis("127.0.0.1", int(redis_port))
    before = state(demo, anybody)
    stored = deliveries(connection)
    assert stored
    with httpx2.Client(timeout=60) as sender:  # one client for all: a new one reads the system's certificates
        for delivery, body in stored[:5]:
            for headers in [{"webhook-id": delivery}] * 5 + [{}] * 5:
                answer = sender.post(url, content=body, headers={"x-webhook-secret": secret, **headers})
                assert answer.status_code == 202
    wait_until(lambda: connection.zcard(KEYS.dirty) == 0)
    assert state(demo, anybody) == before


def state(demo: Demo, anybody: HfApi) -> tuple[object, ...]:
    """Everything that people can see of the board: commits and comments."""
    heads = [anybody.repo_info(repo, repo_type="dataset").sha for repo in (REQUESTS, RESULTS, LOGS)]
    comments = []
    for summary in anybody.get_repo_discussions(REQUESTS, repo_type="dataset"):
        thread = anybody.get_discussion_details(REQUESTS, summary.num, repo_type="dataset")
        comments.append([event.content for event in thread.events if event.type == "comment"])
    return heads, comments


@pytest.mark.parametrize(
    ("repo", "kind"),
    [(REQUESTS, "dataset"), (RESULTS, "dataset"), (LOGS, "dataset"), (QUESTIONS, "dataset"), (SPACE, "space")],
)
def test_the_workers_token_can_write_details_and_nothing_else(demo: Demo, repo: str, kind: str) -> None:
    """With the worker's token a commit to a repo of the board is 403; one to a details repo is accepted."""
    worker = HfApi(demo.hub, token=demo.tokens()[WORKER])
    add = [CommitOperationAdd("x.txt", b"x")]
    with pytest.raises(HfHubHTTPError) as error:
        worker.create_commit(repo, add, commit_message="Try", repo_type=kind)
    assert error.value.response.status_code == 403
    own = f"{DETAILS_ORG}/try"
    worker.create_repo(own, repo_type="dataset", exist_ok=True)
    assert worker.create_commit(own, add, commit_message="Try", repo_type="dataset").oid


def test_a_maintainer_signs_in_on_the_pages(demo: Demo) -> None:
    """A maintainer signs in with the demo's Hub and sees the maintainers' page; for ada it is 403."""
    (board,) = demo.world()["oauthApps"][0]["redirects"]
    for who, status in ((MAINTAINER, 200), ("ada", 403)):
        with httpx2.Client(base_url=board, timeout=60) as browser:
            hub = urlsplit(browser.get("/signin?next=/maintain/inbox").headers["location"])
            agreed = httpx2.post(f"{demo.hub}{hub.path}", data={**dict(parse_qsl(hub.query)), "as": who}, timeout=60)
            back = browser.get(agreed.headers["location"])
            assert back.headers["location"] == "/maintain/inbox"
            page = browser.get(back.headers["location"])
            assert (page.status_code, f'title="My submissions">{who}</a>' in page.text) == (status, True)


def test_every_address_on_the_last_screen_leads_to_its_page(demo: Demo) -> None:
    """The last screen links the leaderboard with the scored model, the queue, and the thread of a failed model."""
    wait_until(lambda: "Ctrl-C stops the demo" in demo.screen())
    screen = demo.screen().partition("Open the leaderboard")[2]
    leaderboard, queue, thread = re.findall(r"http://\S+", screen)
    with httpx2.Client(timeout=60, follow_redirects=True) as browser:
        assert GOOD in browser.get(leaderboard).text
        assert all(
            submission.model in browser.get(queue).text for submission in SUBMISSIONS if submission.status == "FAILED"
        )
        page = browser.get(thread).text
    assert CORRUPTED in page
    assert re.search(rf"<option[^>]* selected[^>]*>{MAINTAINER}<", page)
    settings = re.search(r"source (\S+/env)\n", screen)
    assert settings is not None
    assert f"HF_TOKEN={demo.tokens()[MAINTAINER]}" in Path(settings[1]).read_text()


def test_no_process_carries_a_token_in_its_environment(demo: Demo) -> None:
    """Tokens and secrets travel in files: no environment of any process of the demo holds one."""
    world = demo.world()
    secrets = [*demo.tokens().values(), world["webhooks"][0]["secret"], world["oauthApps"][0]["clientSecret"]]
    processes = demo.processes()
    assert any("zygote" in command for command in processes.values())
    for pid, command in processes.items():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        except (PermissionError, ProcessLookupError):
            environment = ""  # a worker hides itself from its own user, and we are not root; or it has just ended
        assert not any(secret in environment or secret in command for secret in secrets), command


def test_the_bot_needs_no_torch(demo: Demo) -> None:
    """Neither the web server nor the sync process has torch in its memory; both are small."""
    limits = {"serve": 150, "sync": 250}
    for pid, command in demo.processes().items():
        name = command.split()[-1]
        if "steward.cli" in command and name in limits:
            assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()
            status = Path(f"/proc/{pid}/status").read_text()
            resident = int(status.partition("VmRSS:")[2].split()[0]) // 1024
            assert resident < limits.pop(name)
    assert not limits


def test_after_ctrl_c_nothing_is_left_running(demo: Demo) -> None:
    """An interrupted demo ends every process that it started, and removes its folder."""
    pids = list(demo.processes())
    assert len(pids) >= 6
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 130
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), seconds=5)
    assert not demo.folder.exists()
    assert "All processes of the demo have ended" in demo.screen()
