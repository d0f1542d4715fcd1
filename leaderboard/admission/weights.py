"""Rules about the weights: they must exist, be complete and be safe to load. The rules read only their headers."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.submission import AdmissionRule, Submission, is_readable
from leaderboard.reasons import Problem, Reason, bounded, names, table

REASONS = table(
    (
        Reason(
            "weights-missing",
            "The repo of {model} has no weights.",
            "Upload the files that save_pretrained() writes, and submit the new commit.",
        ),
        Reason(
            "weights-not-safetensors",
            "The repo of {model} has its weights only as pickle files ({files}), which can run code when loaded.",
            "Convert the weights to safetensors: load the model with from_pretrained() and upload the files that "
            "save_pretrained() writes, or use the Space 'safetensors/convert'.",
        ),
        Reason(
            "weights-gguf",
            "The repo of {model} has its weights only as GGUF ({files}), but this leaderboard loads safetensors only.",
            "Submit the original model from which the GGUF files were made.",
        ),
        Reason(
            "weights-not-loadable",
            "The repo of {model} has safetensors files ({files}), but none that from_pretrained() loads.",
            "Name the file model.safetensors, or upload the shards together with model.safetensors.index.json.",
        ),
        Reason(
            "index-unreadable",
            "The index of the weights, model.safetensors.index.json, cannot be read: {error}.",
            "Upload the index that save_pretrained() wrote, and submit the new commit.",
        ),
        Reason(
            "weights-incomplete",
            "The index of the weights, model.safetensors.index.json, names files that are not in the repo: {files}.",
            "Upload every shard, and submit the new commit.",
        ),
        Reason(
            "weights-broken",
            "Some safetensors files cannot be read: {files}.",
            "The upload was probably interrupted: upload the files again, check that from_pretrained() loads the "
            "model, and submit the new commit.",
        ),
        Reason(
            "layers-missing",
            "The config of {model} declares {said} layers, but the weights have only {held}.",
            "Upload all weights, or correct num_hidden_layers: missing layers would be filled with random numbers.",
        ),
    )
)
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


def _named(submission: Submission, *endings: str) -> list[str]:
    return [file.name for file in submission.model.files if file.name.casefold().endswith(endings)]


def _safetensors(submission: Submission) -> Iterator[Problem]:
    if _named(submission, ".safetensors"):
        return
    pickled, gguf = _named(submission, *_PICKLES), _named(submission, ".gguf")
    code = "weights-not-safetensors" if pickled else "weights-gguf" if gguf else "weights-missing"
    yield REASONS[code].problem(model=submission.name, files=names(pickled or gguf))


def _shards(submission: Submission) -> Iterator[Problem]:
    weights, files = submission.model.weights, _named(submission, ".safetensors")
    assert weights is not None
    if weights.index_error:
        yield REASONS["index-unreadable"].problem(error=weights.index_error.rstrip("."))
    elif weights.missing:
        yield REASONS["weights-incomplete"].problem(files=names(weights.missing))
    elif not weights.names:
        yield REASONS["weights-not-loadable"].problem(model=submission.name, files=names(files))


def _shards_known(submission: Submission) -> bool:
    return (
        submission.model.weights is not None
        and bool(_named(submission, ".safetensors"))
        and not submission.is_bare_adapter
    )


def _headers(submission: Submission) -> Iterator[Problem]:
    weights = submission.model.weights
    assert weights is not None
    if weights.broken:
        files = "; ".join(f"{bounded(name, 60)} ({bounded(error, 80)})" for name, error in weights.broken.items())
        yield REASONS["weights-broken"].problem(files=files)


def _headers_known(submission: Submission) -> bool:
    return submission.model.weights is not None and bool(submission.model.weights.names)


def _layers(submission: Submission) -> Iterator[Problem]:
    """Refuse missing layers; additional layers are allowed, because models with multi-token prediction have some."""
    assert submission.config is not None
    assert submission.config.layers is not None
    assert submission.model.weights is not None
    held = max(submission.model.weights.layers)
    if held < submission.config.layers:
        yield REASONS["layers-missing"].problem(model=submission.name, said=submission.config.layers, held=held)


def _layers_known(submission: Submission) -> bool:
    config, weights = submission.config, submission.model.weights
    whole = weights is not None and bool(weights.layers) and not weights.missing and not weights.broken
    return submission.weight_type != "Adapter" and whole and config is not None and config.layers is not None


RULES = (
    AdmissionRule(
        "safetensors",
        "The weights are safetensors",
        "Pickled weights can run code when they are loaded, so this leaderboard loads safetensors only.",
        "Open LLM Leaderboard's page for submitters: “safetensors”; FAQ: “we don't want to run possibly unsafe code”",
        _safetensors,
        is_readable,
        of_base=True,
    ),
    AdmissionRule(
        "shards",
        "The weights are complete",
        "A single file that `from_pretrained()` loads, or an index and every shard that it names.",
        "FAQ: failures come from “corrupted files”",
        _shards,
        _shards_known,
        of_base=True,
    ),
    AdmissionRule(
        "headers",
        "The weights can be read",
        "The header of every file matches the file. The check reads only the headers.",
        "FAQ: failures come from “corrupted files”",
        _headers,
        _headers_known,
        of_base=True,
    ),
    AdmissionRule(
        "layers",
        "The weights hold every layer",
        "As many layers as the config declares: missing layers would be filled with random numbers without an error.",
        "FAQ: failures come from “corrupted files, config problems”",
        _layers,
        _layers_known,
        of_base=True,
    ),
)
