"""The history of a board: two generations of requests and results, flags in a dictionary, thousands of threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2023, 5, 8, 12, tzinfo=UTC)
SHA = "0123456789abcdef0123456789abcdef01234567"
STATUSES = ("FINISHED",) * 12 + ("FAILED",) * 4 + ("PENDING", "RUNNING", "RERUN", "PENDING_NEW_EVAL", "CANCELLED")
WORDS = ("FINISHED_NEW_EVAL", "Pending", "running", "Partial", "EVALUATING", "", "FINISHED_2023", "Failed")
TWICE = 997
"""One in TWICE requests exists twice, under a name that differs in the case of a letter."""
TASKS = {"harness|arc:challenge|25": "acc_norm", "harness|hellaswag|10": "acc_norm", "harness|winogrande|5": "acc"}
FLAGS = 111


@dataclass(frozen=True)
class OldRequest:
    """A request from before the adoption; all its properties follow from its `number`.

    `kind` 2: of the second generation; 1: of the first; 0: with an obsolete status.
    """

    number: int

    @property
    def kind(self) -> int:
        return (2, 1, 2, 0)[self.number % 4]

    @property
    def model(self) -> str:
        name = f"org-{self.number // 7}/model-{self.number}"
        return name.replace("org-", "Org-") if self.is_double else name

    @property
    def is_double(self) -> bool:
        """Whether it is a duplicate."""
        return self.number % TWICE == TWICE - 1

    @property
    def path(self) -> str:
        return f"{self.model}_eval_request_False_{self.precision}_Original.json"

    @property
    def precision(self) -> str:
        return ("float16", "bfloat16", "8bit")[self.number % 3]

    @property
    def status(self) -> str:
        return STATUSES[self.number % len(STATUSES)] if self.kind else WORDS[self.number // 4 % len(WORDS)]

    def fields(self) -> dict[str, Any]:
        """Return the fields of the request file."""
        fields = {
            "model": self.model,
            "base_model": "",
            "revision": SHA if self.kind == 2 else "main",
            "private": False,
            "precision": self.precision,
            "params": 7.24,
            "weight_type": "Original",
            "status": self.status,
            "submitted_time": (START + timedelta(hours=self.number / 2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "model_type": "🔶 : 🔶 fine-tuned on domain-specific datasets" if self.kind == 2 else "fine-tuned",
        }
        if self.kind == 2:
            job = self.number if self.status == "RUNNING" else -1
            fields |= {"architectures": "MistralForCausalLM", "job_id": job, "job_start_time": None}
            fields |= {"use_chat_template": bool(self.number % 3), "sender": f"user-{self.number % 97}"}
        return fields | ({} if self.kind == 2 else {"likes": 3, "license": "cc-by-nc-4.0"})

    def file(self) -> bytes:
        """Return the request file; some are unreadable."""
        text = json.dumps(self.fields(), indent=2 if self.kind == 2 else None)
        if self.kind:
            return text.encode()
        return (text.encode(), b"\xef\xbb\xbf" + text.encode(), text[:-9].encode(), b"")[self.number // 32 % 4]

    def results(self) -> tuple[str, bytes]:
        """Return path and content of the request's results, in the format of its generation."""
        time = (START + timedelta(hours=self.number / 2 + 5)).strftime("%Y-%m-%dT%H-%M-%S.%f")
        scores: dict[str, Any] = {task: {metric: 0.5, f"{metric}_stderr": 0.01} for task, metric in TASKS.items()}
        contents: dict[str, Any] = {"results": scores, "versions": dict.fromkeys(TASKS, 0)}
        if self.kind == 2:
            args = f"pretrained={self.model},revision={SHA},dtype={self.precision}"
            contents |= {"config": {"model": "hf", "model_args": args}, "model_name": self.model}
        else:
            contents["config_general"] = {"model_name": self.model, "model_dtype": f"torch.{self.precision}"}
        return f"{self.model}/results_{time}.json", json.dumps(contents).encode()


def old_requests(count: int) -> Iterator[OldRequest]:
    """Yield `count` requests; one in TWICE is a duplicate."""
    return (OldRequest(number) for number in range(count))


def double_of(old: OldRequest) -> bytes:
    """Return the file of the request of which `old` is a duplicate."""
    return json.dumps({**old.fields(), "model": old.model.replace("Org-", "org-")}).encode()


def flags(hub: str) -> str:
    """Return the flags in the code of a front end, some with keys that match no model. `hub` is the Hub's URL."""
    address = f"{hub}/spaces/board/space/discussions"
    lines = [f'    "org-{number}/model-{7 * number}": "{address}/{number + 1}",' for number in range(FLAGS)]
    lines += [f'    "org-200/model-1400 ": "{address}/7",  # a blank', f'    "no model at all": "{address}/8",']
    return "\n".join(["FLAGGED_MODELS = {", *lines, "}", ""])


def old_thread(number: int) -> tuple[str, str, str]:
    """Return title, opening post and answer of one old thread."""
    old = OldRequest(13 * number % 20_000)
    model, url = old.model, f"https://huggingface.co/datasets/board/requests/blob/main/{old.path}"
    return (
        (f"{model} failed", f"My model failed, please restart it: {url}", "Restarted."),
        (f"[FLAG] {model}", f"{model} is contaminated with the test set.", "We will look at it."),
        (f"Rename {model}", f"Please rename {model} to new-org/{model.partition('/')[2]}.", "/status"),
        ("How long does it take?", "How long does an evaluation take?", "A day or so."),
        (f"Remove {model}", f"Please remove {model}, it is broken.", f"/remove {model}"),
    )[number % 5]
