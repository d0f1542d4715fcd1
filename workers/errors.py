"""Errors of the workers.

WorkerError
├── DownloadError            something that the evaluation needs could not be had
│   ├── ModelGone            the model repo, or the commit, is not on the Hub or not ours to read
│   ├── WeightsMissing       the repo holds no weights that we load (safetensors)
│   ├── ConfigMissing        the repo has no config.json
│   ├── DiskFull             the model does not fit beside what is there
│   └── DatasetUnavailable   questions of the suite could not be fetched, or are not what the suite pins
├── EvaluationFailed         the child evaluated and has nothing that can be published
│   └── NotANumber           the model computes NaN
├── PublicationFailed        the details could not be committed
└── ConversionFailed         a GGUF file could not be turned into safetensors
"""

from __future__ import annotations


class WorkerError(Exception):
    """The root of what can go wrong in a worker."""


class DownloadError(WorkerError):
    """Something that the evaluation needs could not be had."""


class ModelGone(DownloadError):
    """The model repo, or the commit, is not on the Hub or not ours to read."""


class WeightsMissing(DownloadError):
    """The repo holds no weights that we load: only safetensors are."""


class ConfigMissing(DownloadError):
    """The repo has no config.json."""


class DiskFull(DownloadError):
    """The model does not fit beside what is on the disk."""


class DatasetUnavailable(DownloadError):
    """Questions of the suite could not be fetched, or are not the ones that the suite pins."""


class EvaluationFailed(WorkerError):
    """The child evaluated and has nothing that can be published."""


class NotANumber(EvaluationFailed):
    """The model computes NaN: its answers mean nothing."""


class PublicationFailed(WorkerError):
    """The details could not be committed."""


class ConversionFailed(WorkerError):
    """A GGUF file could not be turned into safetensors."""
