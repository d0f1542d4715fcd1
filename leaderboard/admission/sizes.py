"""How large what is evaluated is, whatever the request claims: from the headers of the weights alone."""

from __future__ import annotations

from leaderboard.admission.facts import ModelFacts, Quantization, Weights
from leaderboard.policy import AdmissionPolicy

BILLION = 1_000_000_000
_PACKED: dict[str, tuple[str, int]] = {
    "gptq": ("I32", 32),
    "awq": ("I32", 32),
    "bitsandbytes": ("U8", 8),
    "mxfp4": ("U8", 8),
}
"""Method → the dtype in which it packs several parameters into one value, and the bits of that value."""
_BITS = {"mxfp4": 4}


def parameters(model: ModelFacts, weight_type: str) -> int | None:
    """Parameters of what is evaluated: unpacked where they are quantised, with those of the base for an Adapter.

    None where the weights, or those of the base, are not known.
    """
    own = _unpacked(model.weights, model.config.quantization if model.config is not None else None)
    if weight_type != "Adapter":
        return own
    base = parameters(model.base, "Original") if model.base is not None else None
    return own + base if own is not None and base is not None else None


def _unpacked(weights: Weights | None, how: Quantization | None) -> int | None:
    if weights is None or weights.parameters is None:
        return None
    bits = None if how is None else how.bits or _BITS.get(how.method)
    if how is None or how.method not in _PACKED or not bits:
        return weights.parameters
    dtype, width = _PACKED[how.method]
    packed = weights.dtypes.get(dtype, 0)
    return weights.parameters - packed + packed * max(1, width // bits)


def largest(policy: AdmissionPolicy, precision: str, how: Quantization | None) -> float | None:
    """Billions of parameters that a model in `precision` may have; None where there is no limit, or it is not known."""
    bits = how.bits if how is not None else None
    return policy.max_billions.get(f"{precision}-{bits}bit" if precision == "GPTQ" else precision)
