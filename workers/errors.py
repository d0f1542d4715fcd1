"""The errors of the workers."""

from __future__ import annotations


class WorkerError(Exception):
    """The base class of a worker's errors."""


class DownloadError(WorkerError):
    """A file that the evaluation needs could not be downloaded."""


class ModelGone(DownloadError):
    """The model repo is not on the Hub, or the worker may not read it."""


class ModelGated(ModelGone):
    """The model repo is gated, and the worker has no access."""


class RevisionGone(ModelGone):
    """The model repo exists, the commit does not."""


class WeightsMissing(DownloadError):
    """The repo holds no safetensors, the only weights that workers load."""


class WeightsPickled(WeightsMissing):
    """The repo holds its weights only as pickles."""


class TooManyFiles(DownloadError):
    """The repo holds more files than any model consists of."""


class ConfigMissing(DownloadError):
    """The repo has no config.json."""


class BaseModelGone(DownloadError):
    """The base model of an adapter or a delta is not on the Hub, or the worker may not read it."""


class DiskFull(DownloadError):
    """The model does not fit on the disk."""


class DatasetUnavailable(DownloadError):
    """Questions of the suite could not be fetched, or are not the ones that the suite pins."""


class BadCheckpoint(WorkerError):
    """The model's files are invalid."""


class ConfigUnreadable(BadCheckpoint):
    """config.json is not a JSON object."""


class ConfigAbsurd(BadCheckpoint):
    """config.json describes a model larger than any that exists."""


class GenerationAbsurd(BadCheckpoint):
    """The generation settings demand far more memory than any model's."""


class IndexUnusable(BadCheckpoint):
    """The index of the weights is invalid."""


class ShardMissing(BadCheckpoint):
    """A weight file that the index names is missing."""


class OddFile(BadCheckpoint):
    """A weight file holds a link or a Git LFS pointer instead of weights."""


class HeaderUnreadable(BadCheckpoint):
    """The header of a weight file is invalid."""


class WeightsTruncated(BadCheckpoint):
    """A weight file is shorter, or longer, than its header says."""


class WeightsOfWrongType(BadCheckpoint):
    """The weights are in a format that the config does not declare."""


class WeightsOfWrongShape(BadCheckpoint):
    """Tensors have other shapes than the config says."""


class WeightsIncomplete(BadCheckpoint):
    """Some layers have no weights; libraries would fill them with random numbers."""


class WeightsNotFinite(BadCheckpoint):
    """The weights contain NaN or infinity."""


class AdapterUnusable(BadCheckpoint):
    """An adapter is incomplete, or does not fit its base model."""


class DeltaUnusable(BadCheckpoint):
    """A delta does not fit its base model."""


class EvaluationFailed(WorkerError):
    """The child ended without results that can be published."""


class EvaluatorMissing(EvaluationFailed):
    """The suite's evaluator cannot be started on this machine."""


class EvaluatorEnded(EvaluationFailed):
    """The suite's evaluator ended with an error."""


class EvaluatorGaveUp(EvaluationFailed):
    """The suite's evaluator says that it cannot do its work."""


class ModelRefused(EvaluationFailed):
    """The suite's evaluator says that it cannot evaluate this model."""


class EvaluatorLeftNothing(EvaluationFailed):
    """The suite's evaluator left no results, or not all."""


class EvaluatorFilesInvalid(EvaluationFailed):
    """The suite's evaluator left files, or reported progress, that its contract forbids."""


class EvaluatorContradiction(EvaluationFailed):
    """The suite's evaluator reported scores that do not follow from its samples."""


class EvaluatorOtherRun(EvaluationFailed):
    """The suite's evaluator reported results of another model, of other tasks, or of another version of itself."""


class EvaluatorErrors(EvaluationFailed):
    """Too many questions ended with an error instead of an answer."""


class NotANumber(EvaluationFailed):
    """The model computes NaN or infinity, so its answers mean nothing."""


class ChatTemplateEndless(EvaluationFailed):
    """The chat template takes longer than it may."""


class ChatTemplateBroken(EvaluationFailed):
    """The chat template raises."""


class TokenizerMissing(EvaluationFailed):
    """The model has no tokenizer files."""


class GenerationEndless(EvaluationFailed):
    """The model generates beyond what the task allows."""


class TasksChanged(WorkerError):
    """This worker's tasks ask or score otherwise than the board's results, and no operator has accepted them."""


class SuiteDiffers(WorkerError):
    """The job names another suite, or another version of the suite, than this worker has."""


class CanaryFailed(WorkerError):
    """The known-good canary model failed."""


class PublicationFailed(WorkerError):
    """The details could not be committed."""


class ConversionFailed(WorkerError):
    """A GGUF file could not be converted to safetensors."""


class RescoringRefused(WorkerError):
    """The stored answers of an evaluation cannot be scored again; the message says why."""


class BoardUnreachable(WorkerError):
    """The bot's web server did not answer, or its answer is malformed."""


class CallRefused(WorkerError):
    """The bot's web server refuses a call for good: it is too large, or not valid. Repeating it does not help."""


class TableRefused(WorkerError):
    """A published table of answers does not have the form in which workers write it."""


class TableNotRead(WorkerError):
    """This machine could not read a published table."""
