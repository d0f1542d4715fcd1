"""In the fork: loading a tokenizer with the installed transformers, and one conversation in its chat template.

The template is a program of a stranger. It is run in the library's own sandbox, after everything else was answered:
one that never ends takes its own answer with it, and nothing more.
"""

from __future__ import annotations

import json
import math
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.probe.documents import Unreadable, count_in, error_words, read_object

CONFIG_FILE = "tokenizer_config.json"
_SPECIAL = ("bos", "eos", "pad")
TEMPLATE_CPU = 1
"""Seconds of the processor that one conversation may take: it takes some hundredths."""
TALK = (
    {"role": "user", "content": "How many legs has a spider?"},
    {"role": "assistant", "content": "Eight."},
    {"role": "user", "content": "And an ant?"},
)
"""What an evaluation with examples as turns looks like."""


def warm(model_type: str) -> None:
    """Import the library's class for this type of model, in whatever process."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: F401
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

    named = TOKENIZER_MAPPING_NAMES.get(model_type)
    if isinstance(named, str):
        tokenizer_class_from_name(named)


def answers(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """TokenizerFacts of the tokenizer in `folder`; what comes of its chat template in a line of its own."""
    try:
        if not _prepare(folder, question["model_type"]):
            yield {"state": "remote-code"}
            return
        loaded = _load(folder)
        facts = _facts(loaded)
    except MemoryError:
        yield {"state": "too-costly"}
        return
    except Unreadable as error:
        yield {"state": "unreadable", "error": str(error)}
        return
    except BaseException as error:  # noqa: BLE001  also what the library's compiled half throws is the answer
        yield {"state": "unreadable", "error": error_words(error, folder)}
        return
    yield facts
    if facts["template"] != "absent":
        yield _render(loaded, folder)


def _prepare(folder: Path, model_type: str) -> bool:
    """Leave in the folder what loading needs and no more; False where the tokenizer wants code of its own to be run."""
    kept = {"model_type": model_type} if model_type else {}
    (folder / "config.json").write_text(json.dumps(kept), "utf-8")
    path = folder / CONFIG_FILE
    if not path.exists():
        return True
    fields = read_object(path)
    if fields.get("auto_map"):
        return False
    # The names of files: nothing but what lies in the folder is loaded.
    named = [name for name in fields if name.endswith(("_file", "_files", "name_or_path"))]
    path.write_text(json.dumps({name: value for name, value in fields.items() if name not in named}), "utf-8")
    return True


def _load(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)  # nosec B615  # a folder


def _facts(loaded: Any) -> dict[str, Any]:
    loaded("Hello, world!")  # what cannot encode is of no use
    vocabulary = loaded.get_vocab()
    special = {name: count_in(getattr(loaded, f"{name}_token_id", None)) for name in _SPECIAL}
    return {
        "state": "loaded",
        "vocabulary": len(vocabulary),
        "largest_id": max(vocabulary.values(), default=None),
        "special_tokens": {name: token for name, token in special.items() if token is not None},
        # Until the template has come to an end, it is one that does not.
        "template": "too-costly" if loaded.chat_template else "absent",
    }


def _render(loaded: Any, folder: Path) -> dict[str, str]:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (min(hard, math.ceil(used.ru_utime + used.ru_stime) + TEMPLATE_CPU), hard))
    try:
        loaded.apply_chat_template(list(TALK), tokenize=False, add_generation_prompt=True)
    except MemoryError:
        return {"template": "too-costly"}
    except Exception as error:  # noqa: BLE001  whatever a stranger's template provokes is the answer
        return {"template": "raises", "error": error_words(error, folder)}
    return {"template": "works"}
