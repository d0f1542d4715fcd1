"""Memory, disk and devices: what an evaluation runs on, and what it may use up."""

from __future__ import annotations

import signal

from leaderboard.causes.cause import LARGER, LATER, ONCE, TRIED_AGAIN, Cause
from leaderboard.evidence import allocation_refused, killed, raised, stopped, text_matches

TERABYTE = 1 << 40
_LARGER = (
    "Nothing to do for the moment: it is tried once more, on a larger machine where there is one. If that fails too, "
    "ask the maintainers."
)

ROWS = (
    Cause(
        "context-too-large",
        "submission",
        "The model asks for more memory at once than any machine has: {detail}",
        "Check `max_position_embeddings` (or `n_positions`, `n_ctx`) and the other sizes in config.json: they must be "
        "those of the weights.",
        signs=(allocation_refused(TERABYTE),),
    ),
    Cause(
        "gpu-out-of-memory",
        "unknown",
        "The evaluation ran out of GPU memory: {detail}",
        _LARGER,
        LARGER,
        (
            text_matches(
                r"(?:cuda|hip|xpu|mps)\b.{0,80}out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
            ),
            raised("OutOfMemoryError"),
        ),
    ),
    Cause(
        "too-many-processes",
        "unknown",
        "The evaluation tried to start more processes or threads than it may.",
        "The maintainers have the log and look into it.",
        signs=(text_matches(r"can't start new thread|resource temporarily unavailable|pthread_create failed"),),
    ),
    Cause(
        "out-of-memory",
        "unknown",
        "The evaluation ran out of memory: {detail}",
        _LARGER,
        LARGER,
        (
            stopped("memory-limit"),
            raised("MemoryError"),
            text_matches(r"out of memory|cannot allocate memory|can't allocate memory|DefaultCPUAllocator|bad_alloc"),
        ),
    ),
    Cause(
        "killed-by-kernel",
        "unknown",
        "The machine's kernel ended the evaluation, most likely for want of memory: {detail}",
        _LARGER,
        LARGER,
        (killed(signal.SIGKILL),),
    ),
    Cause(
        "nccl",
        "us",
        "The GPUs of the evaluation machine lost touch with each other: {detail}",
        TRIED_AGAIN,
        LATER,
        (raised("DistBackendError"), text_matches(r"\bnccl\b")),
    ),
    Cause(
        "gpu-fault",
        "us",
        "A GPU of the evaluation machine made an error: {detail}",
        TRIED_AGAIN,
        LATER,
        (
            text_matches(
                r"uncorrectable ECC|illegal memory access|misaligned address|illegal instruction|unspecified launch "
                r"failure|CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)|hardware stack error|\bXid\b"
            ),
        ),
    ),
    Cause(
        "gpu-lost",
        "us",
        "The evaluation machine has lost its GPU: {detail}",
        TRIED_AGAIN,
        LATER,
        (
            text_matches(
                r"no CUDA GPUs are available|no CUDA-capable device|GPU is lost|fallen off the bus|CUDA-capable "
                r"device\(s\) is/are busy|Found no NVIDIA driver|invalid device ordinal|Unable to determine the device"
                r"|CUDA unknown error|Torch not compiled with CUDA"
            ),
        ),
    ),
    Cause(
        "gpu-driver",
        "us",
        "The evaluation machine's GPU driver does not fit what runs on it: {detail}",
        "Nothing to do for you: the maintainers bring the machine up to date, and it is tried again.",
        LATER,
        (
            text_matches(
                r"driver version is insufficient|driver on your system is too old|no kernel image is available|"
                r"forward compatibility was attempted|PTX .{0,40}unsupported toolchain"
            ),
        ),
    ),
    Cause(
        "file-limit",
        "unknown",
        "The evaluation wrote more than it may.",
        "The maintainers have the log and look into it.",
        signs=(stopped("spool-limit"), killed(signal.SIGXFSZ), text_matches(r"file too large|\[Errno 27\]")),
    ),
    Cause(
        "disk-full",
        "us",
        "The evaluation machine ran out of disk space.",
        TRIED_AGAIN,
        LATER,
        (raised("DiskFull"), text_matches(r"no space left on device|disk quota exceeded|not enough free disk space")),
    ),
    Cause(
        "crashed",
        "unknown",
        "The evaluation's process crashed: {detail}",
        "Nothing to do for the moment: it is tried once more. If that fails too, check that the model loads and "
        "generates with the newest transformers.",
        ONCE,
        (killed(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS),),
    ),
)
