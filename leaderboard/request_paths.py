"""The path of a request file: `{org}/{model}_eval_request_{private}_{precision}_{weight_type}.json`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from leaderboard.options import precision_named, weight_type_named
from leaderboard.reasons import Problem, Reason, bounded, table

_PATH = re.compile(
    r"^(?:(?P<org>[^/]+)/)?(?P<name>[^/]+)_eval_request_(?P<private>True|False)_(?P<precision>(?!True_|False_)[^/_]+)_(?P<weights>[^/_]+)\.json$"
)
_NAME = re.compile(r"^(?![.-])(?!.*\.\.)(?!.*--)[A-Za-z0-9_.-]{1,96}(?<!\.git)(?<![.-])$")

PATH_REASONS = table(
    (
        Reason(
            "path-shape",
            "The file's name or folder is not that of a request.",
            "Name it {{org}}/{{model}}_eval_request_False_{{precision}}_{{weight type}}.json: in a folder with the "
            "name of the organisation, or at the root for a model without one.",
        ),
        Reason(
            "path-name", "'{name}' is not a valid name on the Hub.", "Copy the model's id from its page on the Hub."
        ),
    )
)
"""The reasons why a path is not that of a request."""


@dataclass(frozen=True)
class RequestPath:
    """The parts of a request file's path.

    `spelled` is the path itself if it has another spelling of the precision or the weight type: a form writes `gptq`.
    """

    org: str
    name: str
    private: bool
    precision: str
    weight_type: str
    spelled: str = ""

    @property
    def model(self) -> str:
        """`org/name`, or `name` for a model without an organisation."""
        return f"{self.org}/{self.name}" if self.org else self.name

    def __str__(self) -> str:
        if self.spelled:
            return self.spelled
        folder = f"{self.org}/" if self.org else ""
        return f"{folder}{self.name}_eval_request_{self.private}_{self.precision}_{self.weight_type}.json"


def is_request_path(path: str) -> bool:
    """Whether `path` is meant as the path of a request; Steward ignores all other files of the repo."""
    return path.endswith(".json") and "_eval_request_" in path.rpartition("/")[2]


def named_model(path: str) -> str:
    """Return the model that the path of a request names, without a check of the path."""
    return path.rpartition("_eval_request_")[0]


@lru_cache(maxsize=2_048)
def parse_path(path: str) -> RequestPath | Problem:
    """Return the parts of `path`, or the problem with it."""
    match = _PATH.fullmatch(path)
    if match is None:
        return PATH_REASONS["path-shape"].problem()
    org, name = match["org"] or "", match["name"]
    bad = [part for part in (org, name) if part and not is_repo_name(part)]
    if bad:
        return PATH_REASONS["path-name"].problem(name="' and '".join(bounded(part, 60) for part in bad))
    precision, weight_type = precision_named(match["precision"]), weight_type_named(match["weights"])
    spelled = "" if (precision, weight_type) == match.group("precision", "weights") else path
    return RequestPath(org, name, match["private"] == "True", precision, weight_type, spelled)


def is_repo_name(part: str) -> bool:
    """Whether `part` is a valid half of a repo id on the Hub."""
    return _NAME.fullmatch(part) is not None


def is_model(name: str) -> bool:
    """Whether `name` is a valid model id on the Hub, unlike a path of a local folder."""
    parts = name.split("/")
    return len(parts) <= 2 and all(is_repo_name(part) for part in parts)
