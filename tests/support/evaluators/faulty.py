"""The evaluator of `pairs`, with the fault that the first argument names."""

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["STEWARD_PLAN"]).parent
SAMPLES, RESULTS = FOLDER / "samples" / "nearer.jsonl", FOLDER / "results.json"


def evaluate() -> dict:
    """Do the work of the good evaluator, and return its results."""
    exec(compile(GOOD.read_text(), str(GOOD), "exec"), {"__name__": "__main__"})  # noqa: S102  # a test's own file
    return json.loads(RESULTS.read_text())


def leave(results: dict) -> None:
    """Write results.json."""
    RESULTS.write_text(json.dumps(results))


def slow() -> None:
    """Never end."""
    time.sleep(3600)


def silent() -> None:
    """Leave no files."""


def without_samples() -> None:
    """Leave results without samples."""
    evaluate()
    SAMPLES.unlink()


def flooding_disk() -> None:
    """Write gigabytes."""
    with (FOLDER / "more").open("wb") as file:
        while True:
            file.write(b"x" * (8 << 20))


def flooding_log() -> None:
    """Write endless output."""
    while True:
        sys.stdout.write("x" * 65536 + "\n")


def flooding_progress() -> None:
    """Print progress lines without end, none of them with progress."""
    while True:
        os.write(int(os.environ["STEWARD_PROGRESS"]), b"x" * 65536)


def hoarding() -> None:
    """Hold 384 MiB in each of two processes: each stays below the kernel's limit for one, and both exceed 512 MiB."""
    os.fork()
    held = b"x" * (384 << 20)
    time.sleep(3600)
    print(len(held))


def leaving_early() -> None:
    """Write results.json before the samples that it counts."""
    results = evaluate()
    samples = SAMPLES.read_bytes()
    SAMPLES.unlink()
    leave(results)
    time.sleep(3)
    SAMPLES.write_bytes(samples)


def guessing() -> None:
    """Give other answers in each run."""
    import random

    results = evaluate()
    samples = [json.loads(line) for line in SAMPLES.read_text().splitlines()]
    for sample in samples:
        sample["metrics"]["accuracy"] = random.random()
    SAMPLES.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    results["tasks"]["nearer"]["metrics"]["accuracy"] = sum(s["metrics"]["accuracy"] for s in samples) / len(samples)
    leave(results)


def asking_all() -> None:
    """Ask all questions, whatever the limit is."""
    plan = json.loads((FOLDER / "plan.json").read_text())
    (FOLDER / "plan.json").write_text(json.dumps({**plan, "limit": None}))
    evaluate()


def blaming_itself() -> None:
    """Report a model that cannot be loaded as the evaluator's own fault."""
    try:
        evaluate()
    except SystemExit:
        failure = {"contract": 1, "fault": "evaluator", "message": "the model does not load"}
        (FOLDER / "failure.json").write_text(json.dumps(failure))
        raise


def mistrusting_nothing() -> None:
    """Report results for a model whose weights are cut off."""
    careless = GOOD.read_text().replace("if len(data) != ", "if not data and len(data) != ")
    exec(compile(careless, str(GOOD), "exec"), {"__name__": "__main__"})  # noqa: S102  # a test's own file


def forging() -> None:
    """Report a better metric than the samples give."""
    results = evaluate()
    results["tasks"]["nearer"]["metrics"]["accuracy"] = 1.0
    leave(results)


def other_model() -> None:
    """Report another model."""
    leave({**evaluate(), "model": "org/better"})


def dying() -> None:
    """End with an error."""
    evaluate()
    sys.exit(3)


def out_of_gpu_memory() -> None:
    """End with torch's error for a GPU without free memory."""
    error = type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch"})
    raise error("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB")


def crashing() -> None:
    """End by SIGSEGV, as after a segmentation fault."""
    evaluate()
    os.kill(os.getpid(), 11)


def lying() -> None:
    """Count more questions than there are samples."""
    results = evaluate()
    results["tasks"]["nearer"]["questions"] = 1000
    leave(results)


def not_a_number() -> None:
    """Report NaN."""
    results = evaluate()
    results["tasks"]["nearer"]["metrics"]["accuracy"] = float("nan")
    leave(results)


def writing_outside() -> None:
    """Try to write beside the model and the questions, into the system, and beside its own folder.

    The last may succeed where the evaluator owns that folder: a sandbox with a user namespace has it in its own `/tmp`.
    """
    plan = json.loads((FOLDER / "plan.json").read_text())
    written, may_be_written = set(), {str(FOLDER.parent)} if FOLDER.parent.stat().st_uid == os.getuid() else set()
    for folder in (plan["model"]["folder"], plan["questions"][0]["folder"], "/usr", "/etc", str(FOLDER.parent)):
        try:
            (Path(folder) / "steward-was-here").write_text("x")
            written.add(folder)
        except OSError:
            pass
    evaluate()
    sys.exit(9 if written - may_be_written else 0)


def linking() -> None:
    """Leave a symbolic link in place of the samples."""
    evaluate()
    SAMPLES.rename(FOLDER / "elsewhere")
    SAMPLES.symlink_to(FOLDER / "elsewhere")


def giving_up() -> None:
    """Report that a requirement of the evaluator is missing."""
    failure = {"contract": 1, "fault": "evaluator", "message": "there is no licence for the tests"}
    (FOLDER / "failure.json").write_text(json.dumps(failure))
    sys.exit(1)


def phoning() -> None:
    """Evaluate only if no token is in the environment and no connection can be made."""
    import socket

    assert not [name for name in os.environ if name.endswith("TOKEN") or name == "REDIS_URL"]
    try:
        socket.create_connection(("127.0.0.1", int(sys.argv[3])), timeout=2)
    except OSError:
        evaluate()


GOOD = Path(sys.argv[2])

if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")]()
