"""Rules about size and precision: the model must fit, and the precision must match its weights."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.sizes import BILLION, largest, parameters
from leaderboard.admission.submission import AdmissionRule, Submission
from leaderboard.reasons import Problem, Reason, choice, table

REASONS = table(
    (
        Reason(
            "too-big",
            "{model} has {size} billion parameters; the limit in {precision} is {limit} billion.",
            "Try a smaller precision, or ask the maintainers in a discussion.",
        ),
        Reason(
            "size-unknown",
            "The parameters of {model} could not be counted from the headers of its weights.",
            "Check that the safetensors files are as save_pretrained() wrote them, and submit the new commit.",
        ),
        Reason(
            "precision-not-gptq",
            "The precision is GPTQ, but the config of {model} says {how}.",
            "Submit it as {instead}, or submit the repo with the GPTQ weights.",
        ),
        Reason(
            "gptq-bits",
            "The weights of {model} are quantised by GPTQ to {bits}, but this leaderboard supports {known} bits.",
            "Quantise the model to a supported number of bits, and declare it in quantization_config of config.json.",
        ),
        Reason(
            "precision-quantized",
            "The weights of {model} are already quantised by '{method}', so it cannot be evaluated in {precision}.",
            "Submit it as {instead}, or submit the unquantised model.",
        ),
        Reason(
            "quantization-unknown",
            "The weights of {model} are quantised by '{method}', for which this leaderboard has no precision.",
            "Submit the unquantised model.",
        ),
        Reason(
            "bits-differ",
            "The weights of {model} are already quantised to {bits} bits, but the precision is {precision}.",
            "Submit it as {bits}bit.",
        ),
        Reason(
            "float32-only",
            "The weights of {model} are stored in float32 only, but {precision} is computed from 16-bit weights here.",
            "Upload the weights in float16 or bfloat16 and submit the new commit, or submit it as float32.",
        ),
        Reason(
            "bfloat16-as-float16",
            "{model} was trained in bfloat16, and bfloat16 values often overflow in float16.",
            "Submit it as bfloat16.",
        ),
    )
)


def _size(submission: Submission) -> Iterator[Problem]:
    count = parameters(submission.model, submission.weight_type)
    quantization = submission.config.quantization if submission.config is not None else None
    limit = largest(submission.policy, submission.precision, quantization)
    if not count:
        yield REASONS["size-unknown"].problem(model=submission.name)
    elif limit is not None and count > limit * BILLION:
        exact = f"{count / BILLION:.1f}"
        size = exact if float(exact) > limit else f"just over {limit:g}"
        yield REASONS["too-big"].problem(
            model=submission.name, size=size, precision=submission.precision, limit=f"{limit:g}"
        )


def _size_known(submission: Submission) -> bool:
    """Whether the weights are complete and known; other rules report missing, broken and unknown weights."""
    weights = submission.model.weights
    whole = weights is not None and bool(weights.names) and not weights.missing and not weights.broken
    of_base = submission.weight_type != "Adapter" or (
        submission.model.base is not None and parameters(submission.model.base, "Original")
    )
    return whole and bool(of_base) and not submission.is_bare_adapter


def _honest(submission: Submission) -> Iterator[Problem]:
    assert submission.config is not None
    quantization, precision, model = submission.config.quantization, submission.precision, submission.name
    if quantization is None:
        yield from _not_quantized(submission)
        return
    fitting = [
        word
        for word in submission.policy.quantizations.get(quantization.method, ())
        if word in submission.board.precisions
    ]
    if not fitting:
        yield REASONS["quantization-unknown"].problem(model=model, method=quantization.method)
    elif precision == "GPTQ" and precision not in fitting:
        statement, instead = f"that its weights are quantised by '{quantization.method}'", choice(fitting)
        yield REASONS["precision-not-gptq"].problem(model=model, how=statement, instead=instead)
    elif precision not in fitting:
        words = {"method": quantization.method, "precision": precision, "instead": choice(fitting)}
        yield REASONS["precision-quantized"].problem(model=model, **words)
    elif precision == "GPTQ" and _gptq_bits(submission) and largest(submission.policy, precision, quantization) is None:
        bits = f"{quantization.bits} bits" if quantization.bits else "a number of bits that its config does not say"
        yield REASONS["gptq-bits"].problem(model=model, bits=bits, known=choice(_gptq_bits(submission)))
    elif quantization.bits and precision in ("4bit", "8bit") and precision != f"{quantization.bits}bit":
        yield REASONS["bits-differ"].problem(model=model, bits=quantization.bits, precision=precision)


def _not_quantized(submission: Submission) -> Iterator[Problem]:
    if submission.precision == "GPTQ":
        statement = "nothing about quantisation"
        instead = choice(word for word in submission.board.precisions if word != "GPTQ") or "another precision"
        yield REASONS["precision-not-gptq"].problem(model=submission.name, how=statement, instead=instead)
    if submission.precision in ("4bit", "8bit") and _is_float32_only(submission):
        yield REASONS["float32-only"].problem(model=submission.name, precision=submission.precision)


def _is_float32_only(submission: Submission) -> bool:
    weights = (
        submission.model.base.weights
        if submission.weight_type == "Adapter" and submission.model.base is not None
        else submission.model.weights
    )
    floats = {dtype for dtype in (weights.dtypes if weights is not None else ()) if dtype.startswith(("F", "BF"))}
    return bool(floats) and floats <= {"F32", "F64"}


def _gptq_bits(submission: Submission) -> list[str]:
    return [name[len("GPTQ-") : -len("bit")] for name in submission.policy.max_billions if name.startswith("GPTQ-")]


def _half(submission: Submission) -> Iterator[Problem]:
    if submission.precision == "float16" and submission.config is not None and submission.config.dtype == "bfloat16":
        yield REASONS["bfloat16-as-float16"].problem(model=submission.name)


def _config_loaded(submission: Submission) -> bool:
    return (
        submission.config is not None
        and submission.config.state == "loaded"
        and submission.precision in submission.board.precisions
    )


RULES = (
    AdmissionRule(
        "size",
        "Its size is within the limit",
        "The parameters, counted from the headers of the weights (for an Adapter including its base model), are within "
        "the limit of the precision: see the table above. The number in the request does not count.",
        "Open LLM Leaderboard's form, check 8: 100 billion in half precision, 140 times 2 in 8bit, times 4 in 4bit",
        _size,
        _size_known,
    ),
    AdmissionRule(
        "honest-precision",
        "The precision matches the weights",
        "GPTQ is for weights quantised by GPTQ, and quantised weights need the precision of their quantisation. 8bit "
        "and 4bit are computed from weights stored in 16 bits.",
        "FAQ: failures come from “wrong parameters selected for eval”; its form, check 8",
        _honest,
        _config_loaded,
    ),
    AdmissionRule(
        "half-precision",
        "bfloat16 is not submitted as float16",
        "Models trained in bfloat16 often compute NaN in float16.",
        "Open LLM Leaderboard's failures: “wrong precision (bf16 in fp16 → NaN)”",
        _half,
        _config_loaded,
    ),
)
