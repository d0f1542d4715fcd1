"""A command line that repeats an evaluation, as one line for a POSIX shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_NAMED = 20
"""The most packages that a note names."""
MAX_LINE = 30_000
"""Characters of a command line that a comment can show."""
KNOWN_PACKAGES = frozenset({
    # Steward's workers, the harness, and what loads models and questions
    "accelerate", "bitsandbytes", "datasets", "evaluate", "gguf", "huggingface-hub", "inspect-ai", "jinja2", "lm-eval",
    "numpy", "peft", "pyarrow", "safetensors", "sentencepiece", "tiktoken", "tokenizers", "torch", "torchvision",
    "transformers",
    # metrics of the harness's tasks
    "absl-py", "antlr4-python3-runtime", "bert-score", "emoji", "fuzzywuzzy", "immutabledict", "jieba", "langdetect",
    "latex2sympy2-extended", "levenshtein", "math-verify", "nltk", "pandas", "rapidfuzz", "regex", "rouge",
    "rouge-score", "sacrebleu", "scikit-learn", "scipy", "six", "sympy", "unidecode", "word2number",
})  # fmt: skip
"""The packages that a line installs. A worker reports the packages that it used, and readers run the line: a package
with another name may be malicious, because anyone may upload one to the package index."""
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.!]{0,60}")


class NotReproducible(ValueError):
    """No command line repeats this evaluation; the message says why."""


@dataclass(frozen=True)
class ReproductionCommand:
    """The two halves of the command line, which install packages and run the evaluation, and notes for its reader."""

    install: str
    run: str
    notes: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The whole command line. Run it in a new virtual environment: it installs versions of packages."""
        return f"{self.install} && {self.run}" if self.install else self.run


def quoted(*words: str) -> str:
    """Return the words, quoted and joined for a POSIX shell."""
    return shlex.join(words)


def installation(packages: list[str]) -> str:
    """The command that installs packages, as `name==version`."""
    return quoted("python", "-m", "pip", "install", *packages)


def is_version(text: str) -> bool:
    """Whether the text can be a version."""
    return bool(_VERSION.fullmatch(text))


def pins(versions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Return package and version of each entry of `versions` that a line may install."""
    return ((package, version) for package, version in _entries(versions) if package.lower() in KNOWN_PACKAGES)


def other_packages(versions: Mapping[str, str]) -> list[str]:
    """Return the names of the packages in `versions` that no line installs, sorted."""
    return sorted({package for package, _ in _entries(versions) if package.lower() not in KNOWN_PACKAGES})


def _entries(versions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield package and version of each entry of `versions` that has the form of one.

    An entry names the package before its version if it is not the name of the module: `sklearn` → `scikit-learn 1.7.2`.
    """
    for name, text in versions.items():
        for entry in text.split(", "):
            package, _, version = entry.rpartition(" ")
            package, public = (package or name).replace("_", "-"), version.partition("+")[0]
            if package not in ("steward", "python") and _PACKAGE.fullmatch(package) and is_version(public):
                yield package, public
