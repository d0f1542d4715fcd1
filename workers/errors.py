"""Errors of the workers.

WorkerError
├── DownloadError            something that the evaluation needs could not be had
│   ├── ModelGone            the model repo is not on the Hub, or not ours to read
│   │   ├── ModelGated       its owner lets in only whom they choose
│   │   └── RevisionGone     the repo is there, the commit is not
│   ├── WeightsMissing       the repo holds no weights that we load (safetensors)
│   │   └── WeightsPickled   it holds pickles instead
│   ├── TooManyFiles         the repo holds more files than any model consists of
│   ├── ConfigMissing        the repo has no config.json
│   ├── BaseModelGone        the model that an adapter or a delta changes is not on the Hub, or not ours to read
│   ├── DiskFull             the model does not fit beside what is there
│   └── DatasetUnavailable   questions of the suite could not be fetched, or are not what the suite pins
├── BadCheckpoint            the model's files are not what they should be
│   ├── ConfigUnreadable     config.json is no JSON object
│   ├── ConfigAbsurd         it describes a model larger than any
│   ├── IndexUnusable        the index of the weights leads nowhere
│   ├── ShardMissing         a file that the index names is not there
│   ├── OddFile              a link or a pointer where weights should be
│   ├── HeaderUnreadable     the head of a file of weights makes no sense
│   ├── WeightsTruncated     a file of weights is shorter, or longer, than its header says
│   ├── WeightsOfWrongType   numbers in a format that the config does not announce
│   ├── WeightsOfWrongShape  tensors of other shapes than the config says
│   ├── WeightsIncomplete    layers without weights
│   ├── WeightsNotFinite     NaN or infinity among the weights
│   ├── AdapterUnusable      an adapter is not whole, or does not fit its base model
│   └── DeltaUnusable        a delta does not fit its base model
├── EvaluationFailed         the child evaluated and has nothing that can be published
│   ├── NotANumber           the model computes NaN or infinity
│   ├── ChatTemplateEndless  the chat template takes longer than it may
│   ├── ChatTemplateBroken   the chat template raises
│   ├── TokenizerMissing     there is none of the files that a tokenizer is made of
│   └── GenerationEndless    the model generates beyond what the task allows
├── CanaryFailed             a model that is known to work does not
├── PublicationFailed        the details could not be committed
└── ConversionFailed         a GGUF file could not be turned into safetensors
"""

from __future__ import annotations


class WorkerError(Exception):
    """The root of what can go wrong in a worker."""


class DownloadError(WorkerError):
    """Something that the evaluation needs could not be had."""


class ModelGone(DownloadError):
    """The model repo is not on the Hub, or not ours to read."""


class ModelGated(ModelGone):
    """The model's owner lets in only whom they choose."""


class RevisionGone(ModelGone):
    """The repo is there, the commit is not."""


class WeightsMissing(DownloadError):
    """The repo holds no weights that we load: only safetensors are."""


class WeightsPickled(WeightsMissing):
    """The repo holds its weights as pickles alone."""


class TooManyFiles(DownloadError):
    """The repo holds more files than any model consists of."""


class ConfigMissing(DownloadError):
    """The repo has no config.json."""


class BaseModelGone(DownloadError):
    """The model that an adapter or a delta changes is not on the Hub, or not ours to read."""


class DiskFull(DownloadError):
    """The model does not fit beside what is on the disk."""


class DatasetUnavailable(DownloadError):
    """Questions of the suite could not be fetched, or are not the ones that the suite pins."""


class BadCheckpoint(WorkerError):
    """The model's files are not what they should be."""


class ConfigUnreadable(BadCheckpoint):
    """config.json is no JSON object."""


class ConfigAbsurd(BadCheckpoint):
    """config.json describes a model larger than any."""


class IndexUnusable(BadCheckpoint):
    """The index of the weights leads nowhere."""


class ShardMissing(BadCheckpoint):
    """A file of weights that the index names is not there."""


class OddFile(BadCheckpoint):
    """A link or a pointer lies where weights should be."""


class HeaderUnreadable(BadCheckpoint):
    """The head of a file of weights makes no sense."""


class WeightsTruncated(BadCheckpoint):
    """A file of weights is shorter, or longer, than its header says."""


class WeightsOfWrongType(BadCheckpoint):
    """The weights are in a format that the config does not announce."""


class WeightsOfWrongShape(BadCheckpoint):
    """Tensors have other shapes than the config says."""


class WeightsIncomplete(BadCheckpoint):
    """Some layers have no weights: libraries would fill them with random numbers."""


class WeightsNotFinite(BadCheckpoint):
    """There is NaN or infinity among the weights."""


class AdapterUnusable(BadCheckpoint):
    """An adapter is not whole, or does not fit its base model."""


class DeltaUnusable(BadCheckpoint):
    """A delta does not fit its base model."""


class EvaluationFailed(WorkerError):
    """The child evaluated and has nothing that can be published."""


class NotANumber(EvaluationFailed):
    """The model computes NaN or infinity: its answers mean nothing."""


class ChatTemplateEndless(EvaluationFailed):
    """The chat template takes longer than it may."""


class ChatTemplateBroken(EvaluationFailed):
    """The chat template raises."""


class TokenizerMissing(EvaluationFailed):
    """There is none of the files that a tokenizer is made of."""


class GenerationEndless(EvaluationFailed):
    """The model generates beyond what the task allows."""


class CanaryFailed(WorkerError):
    """A model that is known to work does not."""


class PublicationFailed(WorkerError):
    """The details could not be committed."""


class ConversionFailed(WorkerError):
    """A GGUF file could not be turned into safetensors."""
