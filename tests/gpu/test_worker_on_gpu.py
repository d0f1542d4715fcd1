"""The worker on a real GPU: half precision, isolation of devices, out of memory, a lost child, two devices.

Skipped with a reason on a machine without a GPU. The tests generate their models.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steward.testing.waiting import wait_until
from tests.support.workers import evaluation_script
from tests.support.workers.real_worker import PATIENCE, RealWorker, running_worker, upload_questions
from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, job
from workers.common.hub_access import HubAccess
from workers.common.run_plan import RunPlan
from workers.evaluation import machine
from workers.evaluation.task_files import write_tasks
from workers.jobs.provisions import TokenHubGateway
from workers.models.tiny_model import model

GPUS = machine.gpus()
pytestmark = pytest.mark.skipif(not GPUS, reason="no GPU here: there is no nvidia-smi, or it lists none")
two = pytest.mark.skipif(len(GPUS) < 2, reason=f"two GPUs are needed, this machine has {len(GPUS)}")

Start = Callable[..., WorkerProcess]
CHILD = Path(evaluation_script.__file__)


def used_mib(index: int = 0) -> int:
    """The used memory of a GPU, as its driver reports it."""
    command = ["nvidia-smi", f"--id={index}", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())


def published_results(worker: WorkerProcess) -> dict[str, Any]:
    """The results that the child of the last attempt wrote."""
    results: dict[str, Any] = json.loads((worker.folder / "published.json").read_text())
    return results


def evaluated(bot: AttemptQueue, worker: WorkerProcess, name: str) -> dict[str, Any]:
    """Run the trial `name` from the queue to its end, and return the results of its child."""
    asked = job(name)
    bot.enqueue(asked)
    bot.grant(asked)
    outcome, log = bot.outcome(asked, seconds=PATIENCE)
    assert outcome.ok, (outcome.failure, log)
    assert GPUS[0].name in outcome.hardware
    return published_results(worker)


def test_a_child_computes_on_the_gpu(bot: AttemptQueue, start_worker: Start) -> None:
    """In its sandbox the child can use the device, and no process initialised the device before the fork."""
    assert evaluated(bot, start_worker(STEWARD_DEVICE="cuda:0"), "fine") == {"sum": 64.0**3}


def test_a_child_sees_the_devices_of_its_set_alone(bot: AttemptQueue, start_worker: Start) -> None:
    """torch and /dev show the child only the devices of its set."""
    view = evaluated(bot, start_worker(STEWARD_DEVICE="cuda:0"), "seeing")
    assert view["names"] == [GPUS[0].name]
    assert view["visible"] == GPUS[0].uuid
    assert view["device"] == "cuda:0"
    if all(name.startswith("nvidia[") for name in machine.device_files(GPUS[:1])):
        pytest.skip("the driver does not say which device file is which GPU's")
    assert view["files"] == list(machine.device_files(GPUS[:1]))


def test_out_of_memory_is_tried_again_with_smaller_batches(bot: AttemptQueue, start_worker: Start) -> None:
    """After torch's out-of-memory error the batch size is halved until it fits, within one attempt."""
    worker = start_worker(STEWARD_DEVICE="cuda:0", STEWARD_BATCH_SIZE="4")
    assert evaluated(bot, worker, "hungry") == {"batch_size": 1, "held": 1}
    assert "with batch size 2; it runs again with 1" in (worker.folder / "published.log").read_text()


def test_a_lost_child_frees_the_memory(bot: AttemptQueue, start_worker: Start) -> None:
    """After kill -9 of the child its GPU memory is free, and the next attempt runs."""
    before = used_mib()
    worker, asked = start_worker(STEWARD_DEVICE="cuda:0"), job("holding")
    bot.enqueue(asked)
    bot.grant(asked)
    bot.running(asked)
    wait_until(lambda: used_mib() > before + 2000, seconds=PATIENCE)
    worker.kill("child")
    outcome, _ = bot.outcome(asked)
    assert outcome.failure is not None
    wait_until(lambda: used_mib() < before + 200, seconds=PATIENCE)
    evaluated(bot, worker, "fine")


def test_a_killed_worker_frees_the_memory(bot: AttemptQueue, start_worker: Start) -> None:
    """After kill -9 of the worker none of its processes is left, and the GPU memory is free."""
    before = used_mib()
    worker, asked = start_worker(STEWARD_DEVICE="cuda:0"), job("holding")
    bot.enqueue(asked)
    bot.grant(asked)
    bot.running(asked)
    wait_until(lambda: used_mib() > before + 2000, seconds=PATIENCE)
    worker.processes()
    worker.kill("worker")
    assert worker.nothing_left()
    wait_until(lambda: used_mib() < before + 200, seconds=PATIENCE)


# --- with the harness


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A Hub with questions and a tiny model, and a worker on the first GPU."""
    with running_worker(tmp_path_factory.mktemp("gpu")) as running:
        upload_questions(running)
        running.start_worker(STEWARD_DEVICE="cuda:0", STEWARD_BATCH_SIZE="4")
        yield running


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32"])
def test_a_precision_is_evaluated_on_the_gpu(stand: RealWorker, precision: str) -> None:
    """A job runs through download, child and publication; the results name the device and the dtype."""
    revision = stand.upload("ada/tiny", model())
    (outcome,) = stand.run(stand.job("ada/tiny", revision, precision=precision))
    results = stand.results(outcome)
    assert results["config"]["device"] == "cuda:0"
    assert results["config"]["model_dtype"] == f"torch.{precision}"
    assert GPUS[0].name in results["steward"]["hardware"]


@two
@pytest.mark.parametrize("spread", ["copies", "parts"])
def test_two_devices_find_what_one_finds(stand: RealWorker, spread: str) -> None:
    """A copy on each device, or layers distributed over both, give the scores of one device."""
    revision = stand.upload("ada/tiny", model())
    hub_gateway = TokenHubGateway(HubAccess(stand.hub.url, "hf_worker"), stand.suite, stand.folder / "children")
    provisions = hub_gateway.fetch(stand.job("ada/tiny", revision))
    ((repo, commit),) = provisions.questions.revisions.items()
    tasks = write_tasks(stand.suite, stand.folder / "tasks", repo=repo, revision=commit)

    def scores(name: str, **how: object) -> object:
        spool = stand.folder / f"{spread}-{name}"
        spool.mkdir()
        fields = {
            "attempt": f"{'0' * 12}-{'0' * 8}-1", "model": "ada/tiny", "revision": revision,
            "model_path": provisions.model, "tasks": stand.suite.run, "task_folder": tasks,
            "datasets": provisions.questions.folder, "spool": spool, "suite": stand.suite.name,
            "suite_digest": stand.suite.digest, **how,
        }  # fmt: skip
        order = spool.with_suffix(".json")
        order.write_text(RunPlan.model_validate(fields).model_dump_json())
        visible = ",".join(gpu.uuid for gpu in GPUS[:2])
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": visible}
        process = subprocess.run(
            [sys.executable, str(CHILD), "run", str(order)],
            env=environment, capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        assert process.returncode == 0, process.stderr[-3000:]
        return json.loads((spool / "results.json").read_text())["results"]

    alone = scores("alone", device="cuda:0")
    together = {"copies": 2} if spread == "copies" else {}
    assert scores("together", device="cuda", spread=spread, **together) == alone
