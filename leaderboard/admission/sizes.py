"""Counts parameters from the headers of the weights, ignoring the claims of the request."""

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
"""By method, the dtype in which it packs several parameters into one value, and the bits of that value."""
_BITS = {"mxfp4": 4}


def parameters(model: ModelFacts, weight_type: str) -> int | None:
    """Return the number of evaluated parameters: unpacked if quantised, and including the base model of an Adapter.

    None if the weights, or those of the base model, are unknown.
    """
    own = _unpacked(model.weights, model.config.quantization if model.config is not None else None)
    if weight_type != "Adapter":
        return own
    base = parameters(model.base, "Original") if model.base is not None else None
    return own + base if own is not None and base is not None else None


def _unpacked(weights: Weights | None, quantization: Quantization | None) -> int | None:
    if weights is None or weights.parameters is None:
        return None
    bits = None if quantization is None else quantization.bits or _BITS.get(quantization.method)
    if quantization is None or quantization.method not in _PACKED or not bits:
        return weights.parameters
    dtype, width = _PACKED[quantization.method]
    packed = weights.dtypes.get(dtype, 0)
    return weights.parameters - packed + packed * max(1, width // bits)


def largest(policy: AdmissionPolicy, precision: str, quantization: Quantization | None) -> float | None:
    """Return the limit of a model in `precision`, in billions of parameters; None for no known limit."""
    bits = quantization.bits if quantization is not None else None
    return policy.max_billions.get(f"{precision}-{bits}bit" if precision == "GPTQ" else precision)
