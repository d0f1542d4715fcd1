"""The YAML block at the top of a README.md: parsing, and the check before a commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from localhub.errors import printable
from localhub.json_values import JsonObject, to_json_values

README = "README.md"
_LICENCE_NAMES = """
afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0
cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0
cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 grok2-community h-research intel-research isc lgpl
lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by
ofl-1.1 open-mdw openmdw-1.0 openrail openrail++ osl-3.0 other pddl postgresql unknown unlicense wtfpl zlib
"""
LICENCES = frozenset(_LICENCE_NAMES.split())
"""The identifiers of licences that a card may name."""
_BLOCK = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*$", re.DOTALL | re.MULTILINE)
_MAX_BLOCK_CHARS = 200_000
_LISTS = ("tags", "datasets", "metrics")


def card_data(readme: bytes | None) -> JsonObject:
    """The card's metadata; empty if it has none or is invalid."""
    metadata = _load(_block((readme or b"").decode("utf-8", "replace")) or "")
    return metadata if isinstance(metadata, dict) else {}


def check_card(content: str) -> dict[str, list[dict[str, str]]]:
    """`{errors: [{message}], warnings: [{message}]}` on a README.md; a commit with errors is refused."""
    block = _block(content)
    if block is None and _block(content.lstrip()) is not None:
        return _report(
            [f"Invalid metadata in {README}: '---' must be the first line, without empty lines above it"], []
        )
    if block is None:
        return _report([], ["empty or missing yaml metadata in repo card"])
    if len(block) > _MAX_BLOCK_CHARS:
        return _report([f"the metadata block has {len(block)} characters; {_MAX_BLOCK_CHARS} is the most"], [])
    metadata = _load(block)
    if isinstance(metadata, yaml.YAMLError):
        return _report([f"Invalid metadata in {README}: {printable(str(metadata))}"], [])
    if not isinstance(metadata, dict):
        problem = [] if metadata is None else [f"Invalid metadata in {README}: expected a mapping of names to values"]
        return _report(problem, [] if problem else ["empty or missing yaml metadata in repo card"])
    return _report(_wrong_fields(metadata), [])


def _block(content: str) -> str | None:
    match = _BLOCK.match(content)
    return match[1] if match else None


def _load(block: str) -> Any:
    """The block's value, as JSON can carry it; the error if it is invalid; None if it is too long."""
    if len(block) > _MAX_BLOCK_CHARS:
        return None
    try:
        return to_json_values(yaml.safe_load(block))
    except yaml.YAMLError as error:
        return error
    except (
        ValueError,
        RecursionError,
    ) as error:  # for example a date with month 13, or brackets nested a thousand deep
        return yaml.YAMLError(str(error))


def _wrong_fields(card: Mapping[Any, Any]) -> list[str]:
    problems = []
    for field in _LISTS:
        value = card.get(field)
        if value is not None and not isinstance(value, str | list):
            problems.append(f'"{field}" must be a string or a list of strings')
        elif isinstance(value, list) and not all(isinstance(item, str | int | float) for item in value):
            problems.append(f'"{field}" must hold strings only')
    single = ("license", "pipeline_tag", "library_name")
    problems += [f'"{field}" must be a string' for field in single if isinstance(card.get(field), Mapping)]
    licences = card.get("license")
    named = licences if isinstance(licences, list) else [licences]
    if any(isinstance(name, str) and name not in LICENCES for name in named):
        problems.append(f'"license" must be one of [{", ".join(sorted(LICENCES))}]')
    if "model-index" in card and not isinstance(card["model-index"], list):
        problems.append('"model-index" must be an array')
    return problems


def _report(errors: list[str], warnings: list[str]) -> dict[str, list[dict[str, str]]]:
    return {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
