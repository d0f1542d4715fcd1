"""Rules about size and precision: that a model fits, and that it is shown as what it is."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.sizes import BILLION, largest, parameters
from leaderboard.admission.submission import AdmissionRule, Submission
from leaderboard.reasons import Problem, Reason, choice, table

REASONS = table(
    (
        Reason(
            "too-big",
            "{model} has {size} billion parameters; up to {limit} billion are evaluated in {precision}.",
            "A smaller precision may fit. For anything larger, open a discussion with the maintainers.",
        ),
        Reason(
            "size-unknown",
            "The number of parameters of {model} could not be counted from the headers of its weights.",
            "Check that the safetensors files are what save_pretrained() wrote, and submit the new commit.",
        ),
        Reason(
            "precision-not-gptq",
            "The precision is GPTQ, but the config of {model} says {how}.",
            "Submit it as {instead}, or submit the repo that holds the weights quantised by GPTQ.",
        ),
        Reason(
            "gptq-bits",
            "The weights of {model} are quantised by GPTQ to {bits}; this leaderboard evaluates {known} bits.",
            "Quantise it to one of these, and say so in quantization_config of config.json.",
        ),
        Reason(
            "precision-quantized",
            "The weights of {model} are quantised by '{method}' already, so nobody could score it in {precision}.",
            "Submit it as {instead}, or submit the model that it was made from.",
        ),
        Reason(
            "quantization-unknown",
            "The weights of {model} are quantised by '{method}', for which this leaderboard has no precision.",
            "Submit the model that it was made from.",
        ),
        Reason(
            "bits-differ",
            "The weights of {model} are quantised to {bits} bits already, but the precision is {precision}.",
            "Submit it as {bits}bit.",
        ),
        Reason(
            "float32-only",
            "The weights of {model} are stored in float32 only; here, {precision} is made from 16 bits.",
            "Upload the weights in float16 or bfloat16 and submit the new commit, or submit it as float32.",
        ),
        Reason(
            "bfloat16-as-float16",
            "{model} was trained in bfloat16, and numbers of bfloat16 often overflow in float16.",
            "Submit it as bfloat16.",
        ),
    )
)


def _size(it: Submission) -> Iterator[Problem]:
    count = parameters(it.model, it.weight_type)
    how = it.config.quantization if it.config is not None else None
    limit = largest(it.policy, it.precision, how)
    if not count:
        yield REASONS["size-unknown"].problem(model=it.name)
    elif limit is not None and count > limit * BILLION:
        exact = f"{count / BILLION:.1f}"
        size = exact if float(exact) > limit else f"just over {limit:g}"
        yield REASONS["too-big"].problem(model=it.name, size=size, precision=it.precision, limit=f"{limit:g}")


def _size_known(it: Submission) -> bool:
    """Where weights are missing or broken, or nothing is known of those of a base model, others have said so."""
    weights = it.model.weights
    whole = weights is not None and bool(weights.names) and not weights.missing and not weights.broken
    of_base = it.weight_type != "Adapter" or (it.model.base is not None and parameters(it.model.base, "Original"))
    return whole and bool(of_base) and not it.is_bare_adapter


def _honest(it: Submission) -> Iterator[Problem]:
    assert it.config is not None
    how, precision, model = it.config.quantization, it.precision, it.name
    if how is None:
        yield from _not_quantized(it)
        return
    fitting = [one for one in it.policy.quantizations.get(how.method, ()) if one in it.board.precisions]
    if not fitting:
        yield REASONS["quantization-unknown"].problem(model=model, method=how.method)
    elif precision == "GPTQ" and precision not in fitting:
        said, instead = f"that its weights are quantised by '{how.method}'", choice(fitting)
        yield REASONS["precision-not-gptq"].problem(model=model, how=said, instead=instead)
    elif precision not in fitting:
        words = {"method": how.method, "precision": precision, "instead": choice(fitting)}
        yield REASONS["precision-quantized"].problem(model=model, **words)
    elif precision == "GPTQ" and _gptq_bits(it) and largest(it.policy, precision, how) is None:
        bits = f"{how.bits} bits" if how.bits else "a number of bits that its config does not say"
        yield REASONS["gptq-bits"].problem(model=model, bits=bits, known=choice(_gptq_bits(it)))
    elif how.bits and precision in ("4bit", "8bit") and precision != f"{how.bits}bit":
        yield REASONS["bits-differ"].problem(model=model, bits=how.bits, precision=precision)


def _not_quantized(it: Submission) -> Iterator[Problem]:
    if it.precision == "GPTQ":
        said = "nothing of any quantisation"
        instead = choice(word for word in it.board.precisions if word != "GPTQ") or "another precision"
        yield REASONS["precision-not-gptq"].problem(model=it.name, how=said, instead=instead)
    if it.precision in ("4bit", "8bit") and _is_float32_only(it):
        yield REASONS["float32-only"].problem(model=it.name, precision=it.precision)


def _is_float32_only(it: Submission) -> bool:
    weights = it.model.base.weights if it.weight_type == "Adapter" and it.model.base is not None else it.model.weights
    floats = {dtype for dtype in (weights.dtypes if weights is not None else ()) if dtype.startswith(("F", "BF"))}
    return bool(floats) and floats <= {"F32", "F64"}


def _gptq_bits(it: Submission) -> list[str]:
    return [name[len("GPTQ-") : -len("bit")] for name in it.policy.max_billions if name.startswith("GPTQ-")]


def _half(it: Submission) -> Iterator[Problem]:
    if it.precision == "float16" and it.config is not None and it.config.dtype == "bfloat16":
        yield REASONS["bfloat16-as-float16"].problem(model=it.name)


def _config_loaded(it: Submission) -> bool:
    return it.config is not None and it.config.state == "loaded" and it.precision in it.board.precisions


RULES = (
    AdmissionRule(
        "size",
        "It fits",
        "The parameters, counted in the headers of the weights (for an Adapter with those of its base), are within the "
        "limit of the precision: see the table above. What the request says about them is not looked at.",
        "Open LLM Leaderboard's form, check 8: 100 billion in half precision, 140 times 2 in 8bit, times 4 in 4bit",
        _size,
        _size_known,
    ),
    AdmissionRule(
        "honest-precision",
        "The precision is what the weights are",
        "GPTQ is for weights quantised by GPTQ, and weights that are quantised already are not shown as anything else. "
        "8bit and 4bit are made from weights stored in 16 bits.",
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
