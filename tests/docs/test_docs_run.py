"""Every command in the documents works as written, or the page says why it is not run.

`make test` runs one page, `make long` the others.
"""

from __future__ import annotations

import shutil
import sys
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from steward.testing.waiting import wait_until
from steward.valkey import Valkey, free_port
from tests.support.docs.command_blocks import Block, Sandbox, Unreadable, blocks
from tests.support.docs.example_board import ExampleBoard, living
from tests.support.long import long_except
from workers.models.tiny_model import model

ROOT = Path(__file__).parents[2]
TOOLS = ("curl",)
"""Tools that the pages use, and that may not be installed."""
NOT_RUN_AT_MOST = 18
"""The greatest number of blocks, in all pages together, that say why they are not run."""
ON_THEIR_OWN = (
    "README.md", "docs/evaluation-engine.md", "docs/localhub.md", "docs/quickstart.md", "docs/shipped-evaluators.md",
    "docs/tutorial.md", "docs/writing-an-evaluator.md",
)  # fmt: skip
"""Pages that need no running board: they create all that they use."""
ON_A_BOARD = (
    "docs/api.md", "docs/deploying.md", "docs/moderation.md", "docs/operating-workers.md", "docs/publishing.md",
    "docs/pull-requests.md", "docs/writing-a-command.md", "docs/writing-a-suite.md",
)  # fmt: skip


@cache
def pages() -> tuple[dict[str, list[Block]], list[str]]:
    """Every page that has commands, with its blocks; and what cannot be read."""
    paths = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("deploy/**/*.md"))]
    by_page: dict[str, list[Block]] = {}
    wrong = []
    for path in paths:
        try:
            by_page[str(path.relative_to(ROOT))] = list(blocks(path, ROOT))
        except Unreadable as error:
            wrong.append(str(error))
    return {page: there for page, there in by_page.items() if there}, wrong


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[ExampleBoard]:
    """A running board without a worker."""
    with living(tmp_path_factory.mktemp("living"), valkey.url) as living_board:
        yield living_board


def prepared(page: str, folder: Path, request: pytest.FixtureRequest) -> Sandbox:
    """Return a sandbox for `page`: its files, its settings, and replacements for the reader's own values."""
    (folder / "home").mkdir()
    settings = {
        "HF_HOME": str(folder / "home"),
        "STEWARD_MIRRORS": str(folder / "mirrors"),
        "STEWARD_WORK_DIR": str(folder / "work"),
    }
    hub, web = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    own: dict[str, str] = {}
    if page not in ON_THEIR_OWN:
        stage: ExampleBoard = request.getfixturevalue("stage")
        settings |= stage.settings
        hub, web = stage.hub.url.removeprefix("http://"), f"127.0.0.1:{stage.web}"
        (folder / "worker-token").write_text("hf_worker")
        (folder / "secrets").mkdir()
        (folder / "secrets" / "bot-token").write_text("hf_bot")
        own |= {"redis://queue.internal:6379": stage.redis_url, "/run/secrets/worker-token": f"{folder}/worker-token"}
        own |= {"STEWARD_BOARD=board.yaml": f"STEWARD_BOARD={stage.folder}/board.yaml"}
    if page == "docs/writing-a-command.md":  # it writes a page of this project anew
        (folder / "docs").mkdir()
    if page == "docs/deploying.md":  # it makes a board of its own
        settings |= {"STEWARD_BOARD": "board.yaml", "REDIS_URL": "", "STEWARD_BOT_TOKEN": ""}
        web = f"127.0.0.1:{free_port()}"
    if page == "docs/publishing.md":  # it brings the board up to date, with the secret in its file
        settings["STEWARD_WEBHOOK_SECRET_FILE"] = "secrets/webhook-secret"
    if page == "docs/evaluation-engine.md":
        (folder / "tiny").mkdir()
        for name, data in model().items():
            (folder / "tiny" / name).write_bytes(data)
        own |= {"pretrained=HuggingFaceTB/SmolLM2-135M": "pretrained=tiny"}
    if page == "docs/pull-requests.md":
        number, sha = stage.pull_request()
        own |= {"approve 12": f"approve {number}", "4a7d1ed4": sha[:8]}
    settings["STEWARD_PORT"] = web.partition(":")[2]
    if page == "README.md":
        own |= {"make ": f"make -C {ROOT} VENV={_environment(folder)} "}
    own |= {"127.0.0.1:7870": hub, "--port 7870": f"--port {hub.partition(':')[2]}", "127.0.0.1:7860": web}
    return Sandbox(folder, {name: value for name, value in settings.items() if value}, own)


def _environment(folder: Path) -> Path:
    """Return a folder that `make setup` takes for its finished virtual environment: it links to our own."""
    environment = folder / "venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    (environment / ".ready").touch()
    return environment


@pytest.mark.e2e
@pytest.mark.timeout(2_400)
@pytest.mark.parametrize(
    "page",
    long_except({"docs/api.md"}, [*ON_THEIR_OWN, *ON_A_BOARD], "programs that take minutes, as a reader starts them"),
)
def test_the_commands_of_a_page_work(page: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The blocks of a page run one after the other in one folder and one shell; background processes end by Ctrl-C."""
    there = pages()[0][page]
    if lacking := [tool for tool in TOOLS if not shutil.which(tool) and any(tool in block.text for block in there)]:
        pytest.skip(f"{page} types {', '.join(lacking)}, which is not installed here")
    sandbox = prepared(page, tmp_path, request)
    try:
        for block in there:
            if not block.reason:
                sandbox.run(block)
        sandbox.close()
    finally:
        sandbox.kill()


def test_every_page_can_be_read() -> None:
    """Each comment about a block is right before one, and all commands are in blocks that can be run."""
    assert pages()[1] == []


def test_blocks_that_are_not_run_are_few_and_say_why() -> None:
    """Every page with other blocks is run; every block that is not run has a reason, and there are few of them."""
    by_page, _ = pages()
    assert {page for page, there in by_page.items() if not all(block.reason for block in there)} == {
        *ON_THEIR_OWN,
        *ON_A_BOARD,
    }
    excused = [block for there in by_page.values() for block in there if block.reason]
    for block in excused:
        print(f"not run: {block}: {block.reason}")
    run = sum(not block.reason for there in by_page.values() for block in there)
    print(f"{run} blocks of {len(by_page)} pages are run, {len(excused)} are not")
    assert all(len(block.reason) > 10 for block in excused)
    assert len(excused) <= NOT_RUN_AT_MOST


def test_every_yaml_in_the_documents_is_yaml() -> None:
    """Each YAML example can be parsed."""
    for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")):
        for token in MarkdownIt("commonmark").parse(path.read_text("utf-8")):
            if token.type == "fence" and token.info == "yaml":
                assert yaml.safe_load(token.content.replace("…", "x")) is not None, f"{path}: {token.content}"


def code_of(path: Path, language: str) -> list[str]:
    """The blocks of a page in one language."""
    tokens = MarkdownIt("commonmark").parse(path.read_text("utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


class Anything:
    """A stand-in for gradio's widgets: takes any arguments, and is a context manager."""

    made: list[tuple[tuple[Any, ...], dict[str, Any]]] = []  # noqa: RUF012  # of the one test

    def __init__(self, *words: Any, **named: Any) -> None:
        self.made.append((words, named))

    def __enter__(self) -> Anything:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def click(self, run: Any, takes: list[Any], gives: Any) -> None:
        """Check that the handler of a click can be called."""
        assert callable(run)


@pytest.fixture
def front_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names of the front end in docs/api.md, with a stand-in for gradio: the real one asks the internet first."""
    gradio: Any = types.ModuleType("gradio")
    for widget in ("Blocks", "LoginButton", "Textbox", "Dropdown", "Markdown", "Button", "Dataframe", "OAuthToken"):
        setattr(gradio, widget, Anything)
    monkeypatch.setitem(sys.modules, "gradio", gradio)
    (code,) = code_of(ROOT / "docs" / "api.md", "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the document's own code
    yield names


@pytest.mark.e2e
def test_the_front_end_in_the_document_works(front_end: dict[str, Any], stage: ExampleBoard) -> None:
    """The front end asks a visitor to sign in, submits for a signed-in user, shows refusals, and lists failures."""
    front_end["BOARD"] = stage.web_url
    token = SimpleNamespace(token="hf_ada")
    submit, failed = front_end["submit"], front_end["failed"]
    assert submit("org/model", "bfloat16", None) == "Please sign in first."
    wait_until(lambda: "is submitted" in submit("org/model", "bfloat16", token), seconds=90)
    wait_until(lambda: "There is no model org/nowhere" in submit("org/nowhere", "bfloat16", token), seconds=90)
    assert "cannot be the model" in submit("a b", "bfloat16", token)
    assert all(len(row) == 3 for row in failed())
