"""The harness's templates: compiled once, confined, and with a fixed date."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_template_is_compiled_once_and_gives_the_same_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template used for two questions is compiled once and gives two texts; a missing field is still an error."""
    from jinja2 import UndefinedError
    from lm_eval.utils import apply_template, env

    from workers.evaluation.shared_prefix.templates import compile_templates_once

    compiled: list[str] = []
    compile_template = env.compile

    def counted(source: str) -> Any:
        compiled.append(source)
        return compile_template(source)

    monkeypatch.setattr(env, "compile", counted)
    monkeypatch.setattr(env, "from_string", env.from_string)  # so that the test restores it
    compile_templates_once()
    assert [apply_template("Q: {{text}}\n", {"text": text}) for text in ("a", "b")] == ["Q: a\n", "Q: b\n"]
    with pytest.raises(UndefinedError):
        apply_template("Q: {{text}}\n", {})
    assert len(compiled) == 1


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ text['__cl' ~ 'ass__'] }}",
        "{{ (text | attr('__class__')).mro() }}",
        "{{ '{0.__class__}'.format(text) }}",
        "{% for number in range(10 ** 9) %}{% endfor %}",
    ],
)
def test_a_template_of_a_suite_reaches_nothing_of_python(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite's template that accesses Python's internals, or runs too long, raises an error; harmless ones work."""
    import lm_eval.utils
    from jinja2.exceptions import SecurityError, UndefinedError

    from workers.evaluation.shared_prefix.templates import compile_templates_once, confine_templates

    monkeypatch.setattr(lm_eval.utils, "env", lm_eval.utils.env)  # so that the test restores it
    confine_templates()
    compile_templates_once()
    assert (
        lm_eval.utils.apply_template(
            "{{ text | regex_replace('a', 'b') }}: {{ ['x', 'a'].index('a') }}\n", {"text": "a"}
        )
        == "b: 1\n"
    )
    with pytest.raises((SecurityError, UndefinedError, OverflowError)):
        lm_eval.utils.apply_template(template, {"text": "a"})


def test_chat_templates_print_the_same_date_every_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chat template that asks for today's date gets a fixed date; the clock of the process is unchanged."""
    from datetime import UTC, datetime

    from transformers.utils import chat_template_utils

    from workers.evaluation.template_date import pin_template_date

    monkeypatch.setattr(chat_template_utils, "datetime", datetime)  # so that the test restores it
    pin_template_date()
    template = chat_template_utils._compile_jinja_template("{{ strftime_now('%d %b %Y') }}")
    assert template.render() == "26 Jul 2024"
    assert datetime.now(UTC).year >= 2026
