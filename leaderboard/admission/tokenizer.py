"""Rules about the tokenizer: it loads, it has the template that was asked for, and it belongs to the model."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.admission.facts import TemplateState, TokenizerState
from leaderboard.admission.submission import AdmissionRule, Submission
from leaderboard.reasons import Problem, Reason, table

REASONS = table(
    (
        Reason(
            "tokenizer-missing",
            "{model} has no tokenizer at this revision.",
            "Upload it with tokenizer.save_pretrained(), and submit the new commit.",
        ),
        Reason(
            "tokenizer-unreadable",
            "The tokenizer of {model} cannot be loaded: {error}.",
            "Check that AutoTokenizer.from_pretrained() of a stable transformers loads it without "
            "remote code, and submit the new commit.",
        ),
        Reason(
            "tokenizer-absurd",
            "Loading the tokenizer of {model} took more time or memory than any real one needs.",
            "Check the vocabulary in tokenizer.json.",
        ),
        Reason(
            "tokenizer-too-large",
            "The files of the tokenizer of {model} are larger than those of any real tokenizer.",
            "Check tokenizer.json: it should hold a vocabulary and nothing else.",
        ),
        Reason(
            "template-missing",
            "The request asks for a chat template, and the tokenizer of {model} has none.",
            "Add chat_template to tokenizer_config.json and submit the new commit, or submit it without a template.",
        ),
        Reason(
            "template-broken",
            "The request asks for a chat template, and that of {model} fails on a plain conversation: {error}.",
            "Try tokenizer.apply_chat_template() with a user's message, mend it, and submit the new commit.",
        ),
        Reason(
            "template-absurd",
            "The chat template of {model} took more time or memory than any real one needs.",
            "Simplify the template, or submit the model without one.",
        ),
        Reason(
            "vocabulary-differs",
            "The tokenizer of {model} has a token number {largest}, but the model only knows numbers below {size}.",
            "Check that the tokenizer is that of this model: tokens were added, or vocab_size in config.json is wrong.",
        ),
        Reason(
            "special-token-outside",
            "The config of {model} says that its {token} token is number {number}, but the model only knows "
            "numbers below {size}.",
            "Mend {token}_token_id in config.json.",
        ),
        Reason(
            "special-token-differs",
            "The {token} token of {model} is number {said} in its config, and {number} in its tokenizer.",
            "Let {token}_token_id in config.json and the {token} token in tokenizer_config.json be the same.",
        ),
    )
)
UNSET = -1
"""How older configs write that there is no such token."""
_REASON_CODES: dict[TokenizerState, str] = {
    "missing": "tokenizer-missing",
    "unreadable": "tokenizer-unreadable",
    "too-costly": "tokenizer-absurd",
    "too-large": "tokenizer-too-large",
}
_TEMPLATES: dict[TemplateState, str] = {
    "absent": "template-missing",
    "raises": "template-broken",
    "too-costly": "template-absurd",
}


def _loads(it: Submission) -> Iterator[Problem]:
    assert it.model.tokenizer is not None
    code = _REASON_CODES.get(it.model.tokenizer.state)
    if code is not None:
        error = it.model.tokenizer.error.rstrip(".") or "it is not what transformers expects"
        yield REASONS[code].problem(model=it.name, error=error)


def _loads_known(it: Submission) -> bool:
    """An adapter that has none uses that of its base model, which is looked at as the base model's."""
    own = it.model.tokenizer
    borrowed = it.weight_type == "Adapter" or it.is_bare_adapter
    return own is not None and not (borrowed and own.state == "missing")


def _template(it: Submission) -> Iterator[Problem]:
    assert it.tokenizer is not None
    code = _TEMPLATES.get(it.tokenizer.template)
    if code is not None:
        error = it.tokenizer.error.rstrip(".") or "it raises an error"
        yield REASONS[code].problem(model=it.name, error=error)


def _template_known(it: Submission) -> bool:
    return bool(it.request.file.use_chat_template) and it.tokenizer is not None and it.tokenizer.state == "loaded"


def _vocabulary(it: Submission) -> Iterator[Problem]:
    config, tokenizer = it.model.config, it.model.tokenizer
    assert config is not None
    assert tokenizer is not None
    largest, size = tokenizer.largest_id, config.vocabulary
    if largest is not None and size is not None and largest >= size:
        yield REASONS["vocabulary-differs"].problem(model=it.name, largest=largest, size=size)


def _special_tokens(it: Submission) -> Iterator[Problem]:
    config, tokenizer = it.model.config, it.model.tokenizer
    assert config is not None
    assert tokenizer is not None
    for token, ids in config.special_tokens.items():
        said = [one for one in ids if one != UNSET]
        size, number = config.vocabulary, tokenizer.special_tokens.get(token)
        outside = [one for one in said if size is not None and not 0 <= one < size]
        words = {"model": it.name, "token": token, "said": " or ".join(map(str, said[:5]))}
        if outside:
            yield REASONS["special-token-outside"].problem(**words, number=outside[0], size=size)
        elif said and number is not None and number not in said:
            yield REASONS["special-token-differs"].problem(**words, number=number)


def _both_known(it: Submission) -> bool:
    """An adapter with tokens of its own brings weights for them: its tokenizer may be larger than the base model."""
    both = (it.model.config, it.model.tokenizer)
    return it.weight_type != "Adapter" and all(one is not None and one.state == "loaded" for one in both)


RULES = (
    AdmissionRule(
        "tokenizer-loads",
        "The tokenizer loads",
        "`AutoTokenizer.from_pretrained()` of the installed stable transformers loads it, without remote code.",
        "Open LLM Leaderboard's form, check 9: config and tokenizer load at the commit",
        _loads,
        _loads_known,
        of_base=True,
    ),
    AdmissionRule(
        "chat-template",
        "There is a chat template, if it was asked for",
        "With `use_chat_template`, the tokenizer has one, and it works on a plain conversation.",
        "Open LLM Leaderboard's form, check 11: chat_template in tokenizer_config.json",
        _template,
        _template_known,
    ),
    AdmissionRule(
        "vocabulary",
        "Tokenizer and model know the same tokens",
        "The largest token of the tokenizer is below `vocab_size`: others would crash the evaluation.",
        "FAQ: failures come from “config problems”",
        _vocabulary,
        _both_known,
        of_base=True,
    ),
    AdmissionRule(
        "special-tokens",
        "Tokenizer and config agree on special tokens",
        "Beginning, end and padding have the same number in both, where both name one, and one that exists.",
        "FAQ: failures come from “config problems”",
        _special_tokens,
        _both_known,
        of_base=True,
    ),
)
