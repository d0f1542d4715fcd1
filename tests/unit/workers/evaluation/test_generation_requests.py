"""The harness's requests for texts get the harness's answers, from the engine or, where it cannot, from the harness."""

from __future__ import annotations

import copy
import types
from typing import Any

import pytest
import torch

from tests.support.long import long_except
from tests.support.models.families import FAMILIES, random_model
from tests.support.models.letter_model import PROMPTS, llama
from tests.support.models.shared_prefix import harness_model
from workers.evaluation.shared_prefix import generation
from workers.evaluation.shared_prefix.failures import GenerationFailed
from workers.evaluation.shared_prefix.generation_requests import GenerationGroup, generate_until
from workers.evaluation.shared_prefix.row_batch import RowBatch
from workers.evaluation.shared_prefix.row_generation import generate_rows

SAMPLE = ("llama", "mistral", "gpt2", "bloom", "falcon")
"""Architectures that `make test` compares; `make long` compares the others."""
EAGER = {
    "gemma2", "gemma2/wide", "gpt_neo", "bloom", "mpt", "gpt_oss", "xglm", "openai-gpt", "rwkv", "mamba",
    "mimo_v2_flash",
}  # fmt: skip
OTHER_CACHE = {
    "falcon", "falcon/alibi", "deepseek_v3", "llama4_text", "jamba", "recurrent_gemma", "lfm2", "qwen3_next",
    "deepseek_v2", "deepseek_v32", "minimax", "moshi", "bert", "bart", "falcon_h1", "cpmant",
}  # fmt: skip
ASIDE = EAGER | OTHER_CACHE
"""Architectures whose texts the harness generates with some releases of transformers: their attention is not `sdpa`, or
has another cache. A newer release may let the engine generate them."""


@pytest.fixture
def lm() -> Any:
    """The harness's model around a tiny llama, whose tokens are letters; its cache only records answers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {"<end>": 0, **{chr(97 + at): at for at in range(1, 26)}}
    tokens = Tokenizer(models.WordLevel(letters, unk_token="<end>"))
    tokens.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokens.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, eos_token="<end>", pad_token="<end>")
    lm = harness_model(llama(), max_length=None, tokenizer=tokenizer)
    lm.cache_hook = Hook()
    lm.withdraw = lambda count: lm.cache_hook.withdraw(count)
    return lm


class Hook:
    """Records the answers that are reported to the harness's cache."""

    def __init__(self) -> None:
        self.answers: list[str] = []

    def add_partial(self, attribute: str, arguments: Any, answer: str) -> None:
        self.answers.append(answer)

    def withdraw(self, count: int) -> None:
        """Forget the last answers, which are reported again."""
        del self.answers[len(self.answers) - count :]


def requests_of(options: dict[str, Any]) -> list[Any]:
    from lm_eval.api.instance import Instance

    contexts = ["".join(chr(97 + token) for token in prompt) for prompt in PROMPTS]
    return [Instance("generate_until", {}, (text, options), at) for at, text in enumerate(contexts)]


def by_harness(lm: Any, requests: list[Any], batch_size: int) -> list[str]:
    lm.batch_size_per_gpu, before = batch_size, lm.batch_size_per_gpu
    texts: list[str] = lm.generate_until(requests, disable_tqdm=True)
    lm.batch_size_per_gpu = before
    return texts


def test_the_harness_gets_the_texts_of_one_prompt_a_batch(lm: Any) -> None:
    """The engine's texts equal the harness's at batch size 1, with the same stop sequences; each is reported once."""
    (plain,) = by_harness(lm, requests_of({"until": [], "max_gen_toks": 12})[:1], 1)
    options = {"until": [plain[3:5]], "max_gen_toks": 12, "do_sample": False}
    requests = requests_of(options)
    expected = by_harness(lm, requests, 1)
    lm.cache_hook = hook = Hook()
    texts, record = generate_until(lm, requests, lambda _: pytest.fail("the harness was asked"))
    assert (record.answers, record.compared, record.reasons) == (len(requests), 8, ())
    assert texts == expected and sorted(hook.answers) == sorted(expected)
    assert plain.startswith(expected[0]) and len(expected[0]) < len(plain)


@pytest.mark.parametrize(("own_limit", "by"), [(5, "engine"), (12, "engine"), (20, "harness")])
def test_a_models_own_limit_of_new_tokens_prevails(lm: Any, own_limit: int, by: str) -> None:
    """A model's own limit of new tokens replaces the task's, as in the harness, which answers if it is longer."""
    lm.model.generation_config.max_new_tokens, lm.cache_hook = own_limit, Hook()
    try:
        requests = requests_of({"until": [], "max_gen_toks": 12, "do_sample": False})
        expected = by_harness(lm, requests, 1)
        texts, record = generate_until(lm, requests, lambda asked: by_harness(lm, asked, 1))
    finally:
        lm.model.generation_config.max_new_tokens = None
    assert texts == expected and max(map(len, expected)) == own_limit
    assert (record.answers > 0) is (by == "engine") is not bool(record.reasons)


@pytest.mark.parametrize("own_limit", [2.5, float("nan"), True])
def test_a_models_own_limit_that_is_no_whole_number_is_left_to_the_harness(lm: Any, own_limit: Any) -> None:
    """Requests are left to the harness if the untrusted generation config has a limit that is not a whole number."""
    lm.model.generation_config.max_new_tokens = own_limit
    try:
        group = GenerationGroup(lm, requests_of({"until": [], "max_gen_toks": 12, "do_sample": False}))
        assert group.reason_against() == f"the model's generation config sets max_new_tokens to {own_limit}"
    finally:
        lm.model.generation_config.max_new_tokens = None


@pytest.mark.parametrize("until", ["", ["", "b"]], ids=["alone", "beside another"])
def test_an_empty_stop_sequence_ends_texts_after_one_token(lm: Any, until: str | list[str]) -> None:
    """An empty stop sequence ends each text after one token, as in the harness."""
    requests = requests_of({"until": until, "max_gen_toks": 6})
    expected = by_harness(lm, requests, 1)
    texts, record = generate_until(lm, requests, lambda _: pytest.fail("the harness was asked"))
    assert texts == expected and set(map(len, expected)) == {1} and not record.reasons


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("generate", lambda _, input_ids, **__: torch.cat((input_ids, torch.full_like(input_ids[:, :1], 7)), 1)),
        ("_get_logits_processor", lambda *_, **__: lambda _, scores: -scores),
    ],
    ids=["generate", "scores"],
)
def test_a_model_that_generates_in_its_own_way_is_left_to_the_harness(
    lm: Any, method: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a model overrides how texts are generated, the harness answers: the engine takes the most likely tokens."""
    monkeypatch.setattr(lm.model, method, types.MethodType(value, lm.model), raising=False)
    requests = requests_of({"until": [], "max_gen_toks": 6})
    expected = by_harness(lm, requests, 1)
    texts, record = generate_until(lm, requests, lambda asked: by_harness(lm, asked, 1))
    assert texts == expected and record.reasons == ("the model generates in a way of its own",)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"do_sample": True, "temperature": 0.6, "eos_token_id": [1, 2], "repetition_penalty": 1.0, "num_beams": 1},
            "",
        ),
        (
            {"repetition_penalty": 1.1, "num_beams": 4},
            "the model's generation config sets num_beams, repetition_penalty",
        ),
        ({"return_dict_in_generate": True}, "the model's generation config sets return_dict_in_generate"),
        ({"early_stopping": False, "renormalize_logits": False, "min_length": 0}, ""),
    ],
    ids=["sampling", "penalty", "objects", "off"],
)
def test_what_a_models_own_settings_may_change_is_left_to_the_harness(settings: dict[str, Any], reason: str) -> None:
    """Settings of sampling do not matter to greedy answers; requests with other active settings go to the harness."""
    model = llama()
    model.generation_config = copy.deepcopy(model.generation_config)
    model.generation_config.update(**settings)
    assert generation.reason_against(model, {}) == reason


@pytest.mark.parametrize("name", ["guidance_scale", "max_time"])
def test_false_is_a_number_where_the_harness_takes_it_for_one(lm: Any, name: str) -> None:
    """If such a setting is False, which transformers takes for 0 and which changes texts, the harness answers."""
    requests = requests_of({"until": [], "max_gen_toks": 6})
    plain = by_harness(lm, requests, 1)
    setattr(lm.model.generation_config, name, False)
    try:
        expected = by_harness(lm, requests, 1)
        texts, record = generate_until(lm, requests, lambda asked: by_harness(lm, asked, 1))
    finally:
        setattr(lm.model.generation_config, name, None)
    assert texts == expected != plain and record.reasons == (f"the model's generation config sets {name}",)


@pytest.mark.parametrize(
    "options", [{"do_sample": True, "temperature": 0.7}, {"repetition_penalty": 1.5}], ids=["sampling", "penalty"]
)
def test_options_that_change_scores_are_answered_by_the_harness(lm: Any, options: dict[str, Any]) -> None:
    """Requests with sampling or a penalty go to the harness, because the engine answers greedy requests only."""
    requests = requests_of({"until": [], "max_gen_toks": 4, **options})
    texts, record = generate_until(lm, requests, lambda asked: ["theirs"] * len(asked))
    assert texts == ["theirs"] * len(requests) and len(record.reasons) == 1 and not record.answers


def test_mixed_precision_is_left_to_the_harness(lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests to a model in mixed precision go to the harness, because the engine would give other texts."""
    monkeypatch.setattr(lm, "mixed_precision_dtype", torch.bfloat16)
    requests = requests_of({"until": [], "max_gen_toks": 4})
    texts, record = generate_until(lm, requests, lambda asked: ["theirs"] * len(asked))
    assert set(texts) == {"theirs"} and record.reasons == ("the model computes in mixed precision",)


def test_texts_beyond_the_limit_of_position_embeddings_are_left_to_the_harness(
    lm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests whose texts could exceed the limit of rotary position embeddings go to the harness."""
    lm.cache_hook = Hook()
    monkeypatch.setattr(generation, "rope_limit", lambda _: max(map(len, PROMPTS)) + 3)
    texts, record = generate_until(
        lm, requests_of({"until": [], "max_gen_toks": 4}), lambda asked: ["theirs"] * len(asked)
    )
    assert set(texts) == {"theirs"} and "position embeddings" in record.reasons[0]
    assert generate_until(lm, requests_of({"until": [], "max_gen_toks": 3}), lambda _: [])[1].reasons == ()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), RuntimeError),
        (MemoryError(), MemoryError),
        (RuntimeError("the shapes differ"), GenerationFailed),
    ],
    ids=["torch", "python", "another error"],
)
def test_lack_of_memory_is_no_fault_of_the_model(
    error: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lack of memory is raised unchanged, to evaluate again with less; other errors become `GenerationFailed`."""
    monkeypatch.setattr(RowBatch, "write", lambda *_: (_ for _ in ()).throw(error))
    rows = generate_rows(llama(), PROMPTS, [], rows=4, cache_tokens=500, max_new_tokens=5, has_ended=lambda _: False)
    with pytest.raises(expected) as raised:
        list(rows)
    assert isinstance(raised.value, GenerationFailed) == (expected is GenerationFailed)


def test_a_wrong_cache_is_noticed(lm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the cache returns wrong values, the harness answers, and no answer is reported twice."""
    right = RowBatch.write

    def wrong(batch: Any, part: Any, layer: int, states: Any) -> None:
        right(batch, part, layer, states.roll(1, dims=-2))

    requests = requests_of({"until": [], "max_gen_toks": 12})
    expected = by_harness(lm, requests, 1)
    lm.cache_hook = hook = Hook()
    monkeypatch.setattr(RowBatch, "write", wrong)
    texts, record = generate_until(lm, requests, lambda asked: by_harness(lm, asked, 1))
    assert texts == expected and "below the best one" in record.reasons[0]
    assert len(hook.answers) == len(requests)


@pytest.mark.parametrize("family", long_except(SAMPLE, FAMILIES, "one of some fifty architectures"))
def test_texts_of_each_architecture_are_the_harness_ones(family: str) -> None:
    """A tiny random model gives the harness's texts, from the engine or, with a reason, from the harness itself."""
    lm = harness_model(random_model(family), max_length=120)
    requests = requests_of({"until": [], "max_gen_toks": 16})
    expected = by_harness(lm, requests, 1)
    texts, record = generate_until(lm, requests, lambda asked: by_harness(lm, asked, 1))
    assert texts == expected
    assert bool(record.answers) != bool(record.reasons)
    if family not in ASIDE:
        assert record.answers, record.reasons
