"""Code in the fork: load a tokenizer with the installed transformers, and render one conversation in its chat template.

The template is an untrusted program. It runs in the library's sandbox, after all other facts are written, so that an
endless template loses only its own answer.
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
TEMPLATE_CPU_SECONDS = 1
"""CPU limit of one conversation, which normally takes some hundredths of a second."""
CONVERSATION = (
    {"role": "user", "content": "How many legs has a spider?"},
    {"role": "assistant", "content": "Eight."},
    {"role": "user", "content": "And an ant?"},
)
"""A conversation as in an evaluation with few-shot examples as turns."""


def warm(model_type: str) -> None:
    """Import the library's class for this type of model, in the calling process."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: F401
    from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES, tokenizer_class_from_name

    named = TOKENIZER_MAPPING_NAMES.get(model_type)
    if isinstance(named, str):
        tokenizer_class_from_name(named)


def answers(folder: Path, question: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the TokenizerFacts of the tokenizer in `folder`, then the result of its chat template."""
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
    except BaseException as error:  # noqa: BLE001  panics of the library's compiled half are answers too
        yield {"state": "unreadable", "error": error_words(error, folder)}
        return
    yield facts
    if facts["template"] != "absent":
        yield _render(loaded, folder)


def _prepare(folder: Path, model_type: str) -> bool:
    """Reduce the files in the folder to what loading needs. Return False where the tokenizer needs remote code."""
    config = {"model_type": model_type} if model_type else {}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    path = folder / CONFIG_FILE
    if not path.exists():
        return True
    fields = read_object(path)
    if fields.get("auto_map"):
        return False
    # Fields that name files are removed, so that only files in the folder are loaded.
    file_fields = [name for name in fields if name.endswith(("_file", "_files", "name_or_path"))]
    path.write_text(json.dumps({name: value for name, value in fields.items() if name not in file_fields}), "utf-8")
    return True


def _load(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)  # nosec B615  # a folder


def _facts(loaded: Any) -> dict[str, object]:
    loaded("Hello, world!")  # raises for a tokenizer that cannot encode
    vocabulary = loaded.get_vocab()
    special = {name: count_in(getattr(loaded, f"{name}_token_id", None)) for name in _SPECIAL}
    return {
        "state": "loaded",
        "vocabulary": len(vocabulary),
        "largest_id": max(vocabulary.values(), default=None),
        "special_tokens": {name: token for name, token in special.items() if token is not None},
        # Until the template has finished, it counts as endless.
        "template": "too-costly" if loaded.chat_template else "absent",
    }


def _render(loaded: Any, folder: Path) -> dict[str, str]:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(usage.ru_utime + usage.ru_stime) + TEMPLATE_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (min(hard, limit), hard))
    try:
        loaded.apply_chat_template(list(CONVERSATION), tokenize=False, add_generation_prompt=True)
    except MemoryError:
        return {"template": "too-costly"}
    except Exception as error:  # noqa: BLE001  any error that an untrusted template causes is the answer
        return {"template": "raises", "error": error_words(error, folder)}
    return {"template": "works"}
