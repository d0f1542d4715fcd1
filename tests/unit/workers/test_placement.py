"""How a model is placed on a machine's devices, and whether the libraries accept the arguments for it."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path

import pytest

from redis_state.jobs import EvaluationJob
from tests.support.units.run_plans import PLAN
from workers.common.devices import Device
from workers.evaluation import machine as this_machine
from workers.evaluation.machine import NoDevice, parse_gpus, select_devices
from workers.evaluation.model_requirements import estimate_requirements
from workers.evaluation.placement import (
    GB,
    QUANTISED,
    MachineCapacity,
    ModelRequirements,
    ModelTooLarge,
    NoQuantiser,
    NotQuantised,
    Placement,
    choose_placement,
    smaller_batch_size,
)
from workers.models.checkpoint import ADAPTER, FLOATS, INDEX
from workers.models.tiny_model import safetensors


def machine(*gigabytes: float, memory: float = 500, quantisers: tuple[str, ...] = ("bitsandbytes",)) -> MachineCapacity:
    """A machine with GPUs of that much memory each."""
    devices = tuple(Device(i, f"GPU-{i}", "NVIDIA H100", int(size * GB)) for i, size in enumerate(gigabytes))
    return MachineCapacity(int(memory * GB), devices, frozenset(quantisers))


def wanted(billions: float, precision: str, **changes: object) -> ModelRequirements:
    """The requirements of a model with that many parameters, in files of two bytes each."""
    fields = {"precision": precision, "parameters": int(billions * GB), "file_bytes": int(billions * 2 * GB)}
    return ModelRequirements(**{**fields, **changes})  # type: ignore[arg-type]


CPU, ONE, TWO, EIGHT = machine(), machine(80), machine(80, 80), machine(*[80] * 8)
FP4 = QUANTISED["4bit"]
TABLE = [
    # what                                             where     dtype      quantised  device  spread  copies batch
    ("7 billion in half", wanted(7, "float16"), ONE, ("float16", {}, "cuda:0", "one", 1, 8)),
    ("the same in brain float", wanted(7, "bfloat16"), ONE, ("bfloat16", {}, "cuda:0", "one", 1, 8)),
    ("small, on two GPUs", wanted(7, "float16"), TWO, ("float16", {}, "cuda", "copies", 2, 8)),
    ("70 billion on one of eight", wanted(70, "bfloat16"), EIGHT, ("bfloat16", {}, "cuda", "parts", 1, 8)),
    ("40 billion on two", wanted(40, "float16"), TWO, ("float16", {}, "cuda", "parts", 1, 8)),
    ("full precision on a CPU", wanted(7, "float32"), CPU, ("float32", {}, "cpu", "one", 1, 8)),
    ("8 bits", wanted(7, "8bit"), ONE, ("float16", {"load_in_8bit": True}, "cuda:0", "one", 1, 8)),
    ("70 billion in 4 bits", wanted(70, "4bit"), ONE, ("float16", FP4, "cuda:0", "one", 1, 8)),
    ("100 billion in 4 bits on two", wanted(100, "4bit"), TWO, ("float16", FP4, "cuda", "copies", 2, 8)),
    ("GPTQ, by its own config", wanted(7, "GPTQ", quantised="gptq"), ONE, ("auto", {}, "cuda:0", "one", 1, 8)),
    ("AWQ, called 4bit", wanted(7, "4bit", quantised="awq"), ONE, ("auto", {}, "cuda:0", "one", 1, 8)),
    ("quantised, in half", wanted(7, "float16", quantised="gptq"), ONE, ("float16", {}, "cuda:0", "one", 1, 8)),
    (
        "an adapter counts on top of its base",
        wanted(34, "float16", weight_type="Adapter", change_bytes=2 * GB),
        TWO,
        ("float16", {}, "cuda", "parts", 1, 8),
    ),
    (
        "a delta does not: it is added",
        wanted(34, "float16", weight_type="Delta"),
        TWO,
        ("float16", {}, "cuda", "copies", 2, 8),
    ),
    ("long questions", wanted(7, "float16", sequence_bytes=20 * GB), ONE, ("float16", {}, "cuda:0", "one", 1, 2)),
    ("very long ones", wanted(34, "float16", sequence_bytes=90 * GB), ONE, ("float16", {}, "cuda:0", "one", 1, 1)),
]


@pytest.mark.parametrize(("what", "asked", "where", "way"), TABLE, ids=[row[0] for row in TABLE])
def test_each_request_gets_its_way_to_run(
    what: str, asked: ModelRequirements, where: MachineCapacity, way: tuple[object, ...]
) -> None:
    """The size of a model decides between one device, copies and parts; the free memory decides the batch size."""
    assert choose_placement(asked, where, batch_size=8) == Placement(*way)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "where", "error", "words"),
    [
        (
            wanted(70, "bfloat16"),
            ONE,
            ModelTooLarge,
            "out of memory: its weights take 154.0 GB, the GPU here can hold 76.0",
        ),
        (wanted(400, "float16"), EIGHT, ModelTooLarge, "the 8 GPUs here can hold 608.0 GB"),
        (wanted(200, "float32"), CPU, ModelTooLarge, "this machine can hold 500.0 GB"),
        (wanted(7, "8bit"), CPU, NoQuantiser, "needs a GPU"),
        (wanted(7, "4bit"), machine(80, quantisers=()), NoQuantiser, "needs bitsandbytes, which is not installed"),
        (wanted(7, "GPTQ"), ONE, NotQuantised, "no quantization_config"),
    ],
)
def test_a_machine_that_cannot_run_it_says_why(
    asked: ModelRequirements, where: MachineCapacity, error: type[Exception], words: str
) -> None:
    """A machine that cannot run a model raises an error with the reason, before it loads anything."""
    with pytest.raises(error, match=words):
        choose_placement(asked, where, batch_size=8)


def test_batches_are_halved_down_to_one_question() -> None:
    """Batch sizes are halved down to one."""
    assert [smaller_batch_size(8), smaller_batch_size(3), smaller_batch_size(2), smaller_batch_size(1)] == [
        4,
        1,
        1,
        None,
    ]


# --- the arguments of the libraries


@pytest.fixture(scope="module")
def libraries() -> dict[str, set[str]]:
    """The names of the arguments that the installed libraries take."""
    from lm_eval.models.huggingface import HFLM
    from transformers import BitsAndBytesConfig

    return {
        "HFLM": set(inspect.signature(HFLM.__init__).parameters),
        "BitsAndBytesConfig": set(inspect.signature(BitsAndBytesConfig.__init__).parameters),
    }


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_bitsandbytes_takes_what_a_quantised_plan_says(libraries: dict[str, set[str]], precision: str) -> None:
    """BitsAndBytesConfig accepts the plan's arguments, and its config returns them."""
    from transformers import BitsAndBytesConfig

    arguments = QUANTISED[precision]
    assert set(arguments) <= libraries["BitsAndBytesConfig"]
    config = BitsAndBytesConfig(**arguments).to_dict()
    assert config["load_in_8bit"] == (precision == "8bit")
    assert config["load_in_4bit"] == (precision == "4bit")
    assert config["quant_method"] == "bitsandbytes"


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_checkpoints_own_quantisation_is_read_by_transformers(method: str) -> None:
    """transformers reads a checkpoint's own `quantization_config`."""
    from transformers.quantizers import AutoQuantizationConfig

    own = {"quant_method": method, "bits": 4, "group_size": 128, "desc_act": False, "zero_point": True}
    assert AutoQuantizationConfig.from_dict(own).bits == 4


@pytest.mark.parametrize("kind", ["Original", "Adapter", "Delta", "parts"])
def test_the_harness_takes_what_a_plan_tells_its_model(
    libraries: dict[str, set[str]], kind: str, tmp_path: Path
) -> None:
    """The harness's model class takes every argument of a plan; it passes `use_safetensors` to `from_pretrained`."""
    from workers.common.run_plan import RunPlan
    from workers.evaluation.harness import model_arguments

    (tmp_path / "tokenizer.json").write_text(json.dumps({}))
    change = {"spread": "parts", "device": "cuda"} if kind == "parts" else {"weight_type": kind}
    based = {} if kind in ("Original", "parts") else {"base_path": "/models/base", "base_model": "org/base"}
    words = model_arguments(RunPlan.model_validate({**PLAN, **change, **based, "model_path": tmp_path}))
    assert set(words) - {"use_safetensors"} <= libraries["HFLM"]
    assert words["trust_remote_code"] is False
    assert ("peft" in words) == (kind == "Adapter")
    assert words["pretrained"] == ("/models/base" if based else str(tmp_path))
    assert words.get("tokenizer") == (str(tmp_path) if based else None)


# --- the sizes of a model's files


def weights(count: int, kind: str = "F32") -> bytes:
    """A weight file of `count` numbers."""
    return safetensors({"weight": (kind, (count,), bytes(count * FLOATS[kind]))})


def estimated(folder: Path, weight_type: str = "Original", base: Path | None = None) -> ModelRequirements:
    """The requirements of the model in `folder`."""
    job = EvaluationJob(
        board="trial", attempt="0123456789ab-00000000-1", path="org/m.json", model="org/m", revision="0" * 40,
        precision="float16", weight_type=weight_type, suite="starter", suite_digest="0" * 64,
    )  # fmt: skip
    return estimate_requirements(job, folder, base)


def test_only_files_that_are_loaded_count(tmp_path: Path) -> None:
    """A second copy of the weights, as in `consolidated.safetensors`, adds nothing to the estimate, nor its dtype."""
    (tmp_path / "consolidated.safetensors").write_bytes(weights(2_000, "F64"))
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(weights(1_000))
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(weights(1_000))
    names = [path.name for path in tmp_path.glob("model-*")]
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": dict(zip("ab", names, strict=True))}))
    assert estimated(tmp_path).parameters == pytest.approx(2_000, rel=0.1)
    (tmp_path / INDEX).write_text("{}")
    assert estimated(tmp_path).file_bytes == sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))


def test_only_the_adapters_own_file_adds_to_its_base_model(tmp_path: Path) -> None:
    """The estimate adds the adapter's file to the base model, but not a merged model beside it."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder in (base, adapter):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(weights(1_000))
    (adapter / ADAPTER).write_bytes(weights(10))
    assert estimated(adapter, "Adapter", base).change_bytes == len(weights(10))
    assert estimated(adapter, "Delta", base).change_bytes == 0


# --- the GPUs of a machine

SMI = "0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559\n1, GPU-bbbb, NVIDIA H100 80GB HBM3, 81559\nNo devices were found\n"


def test_gpus_are_those_that_the_driver_names() -> None:
    """Lines of the driver's output that describe no GPU are skipped."""
    first, second = parse_gpus(SMI)
    assert (first.index, first.uuid, first.memory_bytes >> 20) == (0, "GPU-aaaa", 81_559)
    assert second.name == "NVIDIA H100 80GB HBM3"
    assert parse_gpus("N/A, [Unknown Error]\n") == ()


@pytest.mark.parametrize(
    ("device", "indices"), [("auto", [0, 1]), ("cuda", [0, 1]), ("cuda:1", [1]), ("cuda:1,0", [1, 0]), ("cpu", [])]
)
def test_the_operator_says_which_of_them_a_worker_uses(device: str, indices: list[int]) -> None:
    """The setting selects the GPUs, so that several workers on one machine use different ones."""
    assert [gpu.index for gpu in select_devices(device, parse_gpus(SMI), {})] == indices


@pytest.mark.parametrize("device", ["auto", "cuda"])
@pytest.mark.parametrize(
    ("allotted", "indices"),
    [("1", [1]), ("GPU-bbbb", [1]), ("gpu-b", [1]), ("1, 0", [1, 0]), ("0,0", [0]), ("0,MIG-1/2/3", [0]), ("", [0, 1])],
)
def test_a_worker_uses_only_the_gpus_that_a_batch_system_allots(device: str, allotted: str, indices: list[int]) -> None:
    """A worker uses the GPUs in CUDA_VISIBLE_DEVICES, unless STEWARD_DEVICE names GPUs by number."""
    environment = {"CUDA_VISIBLE_DEVICES": allotted}
    assert [gpu.index for gpu in select_devices(device, parse_gpus(SMI), environment)] == indices
    assert [gpu.index for gpu in select_devices("cuda:0", parse_gpus(SMI), environment)] == [0]
    assert select_devices("auto", (), environment) == ()


@pytest.mark.parametrize("allotted", ["-1", "NoDevFiles", " -1 "])
def test_a_job_without_an_allotted_gpu_uses_the_cpu(allotted: str) -> None:
    """If the batch system allots no GPU, `auto` selects the CPU, and `cuda` raises an error."""
    environment = {"CUDA_VISIBLE_DEVICES": allotted}
    assert select_devices("auto", parse_gpus(SMI), environment) == ()
    with pytest.raises(NoDevice, match="set STEWARD_DEVICE"):
        select_devices("cuda", parse_gpus(SMI), environment)


@pytest.mark.parametrize("allotted", ["MIG-8a1b", "7", ",x,"])
def test_an_allotted_gpu_that_is_not_there_is_said_at_start(allotted: str) -> None:
    """If no GPU in CUDA_VISIBLE_DEVICES exists, the worker raises an error, and uses neither other GPUs nor the CPU."""
    with pytest.raises(NoDevice, match=r"this machine has cuda:0, cuda:1: set STEWARD_DEVICE"):
        select_devices("auto", parse_gpus(SMI), {"CUDA_VISIBLE_DEVICES": allotted})


@pytest.mark.parametrize(("device", "listing"), [("cuda:2", SMI), ("cuda", ""), ("cuda:0", "")])
def test_a_gpu_that_is_not_there_is_said_at_start(device: str, listing: str) -> None:
    """If the GPU in STEWARD_DEVICE does not exist, the worker raises an error that names the setting."""
    with pytest.raises(NoDevice, match="STEWARD_DEVICE"):
        select_devices(device, parse_gpus(listing), {})


def test_without_gpus_a_worker_uses_the_cpu() -> None:
    """Without GPUs a worker uses the CPU."""
    assert select_devices("auto", ()) == ()


@pytest.mark.parametrize("ending", ["echo 'NVIDIA-SMI has failed'; exit 9", "exec sleep 60"])
def test_a_driver_that_does_not_answer_is_said_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """If a GPU driver is installed but fails or hangs, the worker raises an error, unless the operator set the CPU."""
    tool, driver = tmp_path / "nvidia-smi", tmp_path / "driver"
    tool.write_text(f"#!/bin/sh\n{ending}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(this_machine, "DRIVER_SECONDS", 0.5)
    monkeypatch.setattr(this_machine, "_DRIVER_FILES", (driver,))
    assert this_machine.find_devices("auto") == ()
    driver.mkdir()
    with pytest.raises(this_machine.DriverSilent, match=r"(NVIDIA-SMI has failed|timed out).*STEWARD_DEVICE=cpu"):
        this_machine.find_devices("auto")
    assert this_machine.find_devices("cpu") == ()


def test_a_job_whose_gpus_are_hidden_uses_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the driver is loaded but its tool finds no device, the worker uses the CPU."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(this_machine, "_DRIVER_FILES", (tmp_path,))
    assert this_machine.find_devices("auto") == ()
    with pytest.raises(NoDevice):
        this_machine.find_devices("cuda")
