"""The recorded tiny models, from which tests build models without torch."""

from __future__ import annotations

import json

import pytest

from tests.support.models.tiny_models import KINDS, RECORD, built


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_is_what_transformers_writes(kind: str) -> None:
    """The recorded config and shapes of each model type are those of a model that transformers saves."""
    assert json.loads(RECORD.read_bytes())[kind] == built(kind)
