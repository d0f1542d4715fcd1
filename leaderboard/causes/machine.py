"""Causes: memory, disk and devices of the evaluation machine."""

from __future__ import annotations

import errno
import signal

from leaderboard.causes.cause import LARGER, LATER, LOADING, ONCE, TRIED_AGAIN, Cause
from leaderboard.evidence import (
    allocation_refused,
    begins,
    both,
    killed,
    logged,
    raised,
    stopped,
    system_error,
    text_matches,
)

TERABYTE = 1 << 40
_TORCH = ("RuntimeError", "AcceleratorError")
_DEVICES = r"unexpected error from cudaGetDeviceCount.{0,300}|cuda error: .{0,40}"
_LARGER = (
    "You don't need to do anything for now: the evaluation is retried once, on a larger machine if there is one. If it "
    "fails again, ask the maintainers."
)

ROWS = (
    Cause(
        "context-too-large",
        "submission",
        "The model requests more memory at once than any machine has: {detail}",
        "Check `max_position_embeddings` (or `n_positions`, `n_ctx`) and the other sizes in config.json, which must "
        "match the weights, and submit the new commit.",
        signs=(allocation_refused(TERABYTE),),
    ),
    Cause(
        "gpu-out-of-memory",
        "unknown",
        "The evaluation ran out of GPU memory: {detail}",
        _LARGER,
        LARGER,
        (
            begins(_TORCH, r"(?:cuda|hip|xpu|mps|cudnn)\b.{0,80}(?:out of memory|STATUS_ALLOC_FAILED)"),
            raised("OutOfMemoryError"),
            both(raised("EvaluatorEnded"), logged(r"\bOutOfMemoryError: (?:CUDA|HIP|XPU) out of memory", ())),
        ),
    ),
    Cause(
        "too-many-processes",
        "unknown",
        "The evaluation tried to start more processes or threads than the sandbox allows.",
        "The maintainers have the log and look into it.",
        signs=(begins(_TORCH, r"can't start new thread|pthread_create failed"), system_error(errno.EAGAIN)),
    ),
    Cause(
        "out-of-memory",
        "unknown",
        "The evaluation ran out of memory: {detail}",
        _LARGER,
        LARGER,
        (
            stopped("memory-limit"),
            raised("MemoryError", "_ArrayMemoryError", "ModelTooLarge"),
            begins(_TORCH, r"\[enforce fail at .{1,80}DefaultCPUAllocator|std::bad_alloc|unable to mmap \d+ bytes"),
            system_error(errno.ENOMEM),
            both(killed(signal.SIGABRT), logged(r"memory allocation of \d+ bytes failed", ())),
            both(raised("EvaluatorEnded"), logged(r"(?m)^\S*\b_?(?:Array)?MemoryError(?::|$)", ())),
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
        (raised("DistBackendError"), begins(_TORCH, r"nccl error")),
    ),
    Cause(
        "gpu-fault",
        "us",
        "A GPU of the evaluation machine reported an error: {detail}",
        TRIED_AGAIN,
        LATER,
        (
            begins(
                _TORCH,
                r"cuda error: .{0,40}(?:uncorrectable ECC|illegal memory access|misaligned address|illegal instruction|"
                r"unspecified launch failure|CUBLAS_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR)|hardware stack error)",
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
            begins(("AssertionError",), r"torch not compiled with CUDA", LOADING),
            begins(
                _TORCH,
                rf"no CUDA GPUs are available|found no NVIDIA driver|CUDA unknown error|"
                rf"(?:{_DEVICES})(?:no CUDA-capable device|CUDA-capable device\(s\) is/are|invalid device ordinal)",
            ),
            raised("NVMLError_GpuIsLost"),
        ),
    ),
    Cause(
        "gpu-driver",
        "us",
        "The evaluation machine's GPU driver does not match its software: {detail}",
        "You don't need to do anything: the maintainers update the machine, and the evaluation is retried.",
        LATER,
        (
            begins(
                _TORCH,
                rf"the NVIDIA driver on your system is too old|(?:{_DEVICES})(?:driver version is insufficient|"
                r"no kernel image is available|forward compatibility was attempted|PTX .{0,40}unsupported toolchain)",
            ),
        ),
    ),
    Cause(
        "file-limit",
        "unknown",
        "The evaluation wrote more data to disk than the sandbox allows.",
        "The maintainers have the log and look into it.",
        signs=(stopped("spool-limit"), killed(signal.SIGXFSZ), system_error(errno.EFBIG)),
    ),
    Cause(
        "disk-full",
        "us",
        "The evaluation machine ran out of disk space.",
        TRIED_AGAIN,
        LATER,
        (
            raised("DiskFull"),
            system_error(errno.ENOSPC, errno.EDQUOT),
            both(
                raised("DatasetUnavailable"),
                text_matches(r"no space left on device|disk quota exceeded|not enough disk space"),
            ),
        ),
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
