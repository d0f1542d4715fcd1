"""The content of a run plan."""

PLAN = {
    "attempt": "0123456789ab-01234567-1",
    "model": "org/model",
    "revision": "0" * 40,
    "model_path": "/models/m",
    "tasks": ["starter"],
    "datasets": "/datasets",
    "spool": "/spool",
    "suite": "starter",
    "suite_digest": "d" * 64,
}
