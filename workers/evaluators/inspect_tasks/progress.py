"""Reports the number of questions that are done, at the end of each."""

from __future__ import annotations

import json
import os

from inspect_ai.hooks import Hooks, SampleEnd, hooks


def report_progress(descriptor: int, total: int) -> None:
    """Write a line of progress to `descriptor` for each of `total` questions from now on."""
    done = 0

    @hooks(name="steward_progress", description="Says how many questions are done")
    class Progress(Hooks):  # type: ignore[misc]  # inspect-ai's types are not read
        async def on_sample_end(self, data: SampleEnd) -> None:  # noqa: ARG002  # inspect-ai's interface
            nonlocal done
            done = min(done + 1, total)
            os.write(descriptor, json.dumps({"done": done, "total": total}).encode() + b"\n")
