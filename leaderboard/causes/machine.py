"""Causes: memory, disk and devices of the evaluation machine."""

from __future__ import annotations

import signal

from leaderboard.causes.cause import LARGER, LATER, LOADING, ONCE, TRIED_AGAIN, Cause
from leaderboard.evidence import allocation_refused, both, killed, logged, raised, stopped, text_matches

TERABYTE = 1 << 40
_LARGER = (
    "You don't need to do anything for now: the evaluation is retried once, on a larger machine if there is one. If it "
    "fails again, ask the maintainers."
)

ROWS = (
    Cause(
        "context-too-large",
        "submission",
        "The model requests more memory at once than any machine has: {detail}",
        "Check `max_position_embeddings` (or `n_positions`, `n_ctx`) and the other sizes in config.json: they must "
        "match the weights.",
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
        "The evaluation tried to start more processes or threads than the sandbox allows.",
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
            both(killed(signal.SIGABRT), logged(r"memory allocation of \d+ bytes failed", ())),
        ),
    ),
    Cause(
        "killed-by-kernel",
        "unknown",
        "The operating system ended the evaluation, most likely because it ran out of memory: {detail}",
        _LARGER,
        LARGER,
        (killed(signal.SIGKILL),),
    ),
    Cause(
        "nccl",
        "us",
        "The communication between the GPUs of the evaluation machine failed: {detail}",
        TRIED_AGAIN,
        LATER,
        (raised("DistBackendError"), text_matches(r"\bnccl\b")),
    ),
    Cause(
        "gpu-fault",
        "us",
        "A GPU of the evaluation machine reported an error: {detail}",
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
                r"|CUDA unknown error"
            ),
            text_matches(r"Torch not compiled with CUDA", LOADING),
        ),
    ),
    Cause(
        "gpu-driver",
        "us",
        "The evaluation machine's GPU driver does not match its software: {detail}",
        "You don't need to do anything: the maintainers update the machine, and the evaluation is retried.",
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
        "The evaluation wrote more data to disk than the sandbox allows.",
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
        "You don't need to do anything for now: the evaluation is retried once. If it fails again, check that the "
        "model loads and generates with the newest release of transformers.",
        ONCE,
        (killed(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS),),
    ),
)
