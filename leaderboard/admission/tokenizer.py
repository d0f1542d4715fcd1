"""Rules about the tokenizer: it must load, have the requested chat template, and match the model."""

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
            "Upload the files that tokenizer.save_pretrained() writes, and submit the new commit.",
        ),
        Reason(
            "tokenizer-unreadable",
            "The tokenizer of {model} cannot be loaded: {error}.",
            "Check that AutoTokenizer.from_pretrained() of a stable release of transformers loads it without remote "
            "code, and submit the new commit.",
        ),
        Reason(
            "tokenizer-absurd",
            "Loading the tokenizer of {model} took more time or memory than any real tokenizer needs.",
            "Check the vocabulary in tokenizer.json.",
        ),
        Reason(
            "tokenizer-too-large",
            "The tokenizer files of {model} are larger than those of any real tokenizer.",
            "Check that tokenizer.json contains nothing but the tokenizer.",
        ),
        Reason(
            "template-missing",
            "The request asks for a chat template, but the tokenizer of {model} has none.",
            "Add chat_template to tokenizer_config.json and submit the new commit, or submit it without a template.",
        ),
        Reason(
            "template-broken",
            "The request asks for a chat template, but the template of {model} fails on a plain conversation: {error}.",
            "Test it with tokenizer.apply_chat_template() and a user message, correct it, and submit the new commit.",
        ),
        Reason(
            "template-absurd",
            "The chat template of {model} took more time or memory than any real template needs.",
            "Simplify the template, or submit the model without one.",
        ),
        Reason(
            "vocabulary-differs",
            "The tokenizer of {model} has the token id {largest}, but the model only has token ids below {size}.",
            "Check that the tokenizer belongs to this model, that the model was resized for added tokens, and that "
            "vocab_size in config.json is right.",
        ),
        Reason(
            "special-token-outside",
            "The config of {model} gives {number} as {token}_token_id, but the model only has token ids below {size}.",
            "Correct {token}_token_id in config.json.",
        ),
        Reason(
            "special-token-differs",
            "The {token} token of {model} has the id {said} in its config, but {number} in its tokenizer.",
            "Make {token}_token_id in config.json agree with the {token} token in tokenizer_config.json.",
        ),
    )
)
UNSET = -1
"""The token id in older configs that means no token."""
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


def _loads(submission: Submission) -> Iterator[Problem]:
    assert submission.model.tokenizer is not None
    code = _REASON_CODES.get(submission.model.tokenizer.state)
    if code is not None:
        error = submission.model.tokenizer.error.rstrip(".") or "it is not what transformers expects"
        yield REASONS[code].problem(model=submission.name, error=error)


def _loads_known(submission: Submission) -> bool:
    """Whether the tokenizer is known; an adapter without one uses its base model's, which is checked separately."""
    own = submission.model.tokenizer
    borrowed = submission.weight_type == "Adapter" or submission.is_bare_adapter
    return own is not None and not (borrowed and own.state == "missing")


def _template(submission: Submission) -> Iterator[Problem]:
    assert submission.tokenizer is not None
    code = _TEMPLATES.get(submission.tokenizer.template)
    if code is not None:
        error = submission.tokenizer.error.rstrip(".") or "it raises an error"
        yield REASONS[code].problem(model=submission.name, error=error)


def _template_known(submission: Submission) -> bool:
    return (
        bool(submission.request.file.use_chat_template)
        and submission.tokenizer is not None
        and submission.tokenizer.state == "loaded"
    )


def _vocabulary(submission: Submission) -> Iterator[Problem]:
    config, tokenizer = submission.model.config, submission.model.tokenizer
    assert config is not None
    assert tokenizer is not None
    largest, size = tokenizer.largest_id, config.vocabulary
    if largest is not None and size is not None and largest >= size:
        yield REASONS["vocabulary-differs"].problem(model=submission.name, largest=largest, size=size)


def _special_tokens(submission: Submission) -> Iterator[Problem]:
    config, tokenizer = submission.model.config, submission.model.tokenizer
    assert config is not None
    assert tokenizer is not None
    for token, ids in config.special_tokens.items():
        token_ids = [token_id for token_id in ids if token_id != UNSET]
        size, number = config.vocabulary, tokenizer.special_tokens.get(token)
        outside = [token_id for token_id in token_ids if size is not None and not 0 <= token_id < size]
        words = {"model": submission.name, "token": token, "said": " or ".join(map(str, token_ids[:5]))}
        if outside:
            yield REASONS["special-token-outside"].problem(**words, number=outside[0], size=size)
        elif token_ids and number is not None and number not in token_ids:
            yield REASONS["special-token-differs"].problem(**words, number=number)


def _both_known(submission: Submission) -> bool:
    """Whether config and tokenizer are loaded; an adapter may add tokens, because it has weights for them."""
    both = (submission.model.config, submission.model.tokenizer)
    return submission.weight_type != "Adapter" and all(part is not None and part.state == "loaded" for part in both)


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
        "A requested chat template exists",
        "With `use_chat_template`, the tokenizer has a chat template that works on a plain conversation.",
        "Open LLM Leaderboard's form, check 11: chat_template in tokenizer_config.json",
        _template,
        _template_known,
    ),
    AdmissionRule(
        "vocabulary",
        "The tokenizer's tokens fit the model",
        "The largest token id of the tokenizer is below `vocab_size`: larger ids would crash the evaluation.",
        "FAQ: failures come from “config problems”",
        _vocabulary,
        _both_known,
        of_base=True,
    ),
    AdmissionRule(
        "special-tokens",
        "Tokenizer and config agree on special tokens",
        "The ids of the bos, eos and pad tokens are below `vocab_size`, and equal in both where both name one.",
        "FAQ: failures come from “config problems”",
        _special_tokens,
        _both_known,
        of_base=True,
    ),
)
