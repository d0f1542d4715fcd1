"""Comments and cards as HTML that is safe to show.

The text is untrusted. Two rules keep it harmless: raw HTML is escaped, except for a few tags without attributes; and
links lead only to http, https, mailto or a path of this site. HTML comments are left out, as on the Hub: bots hide
their markers in them.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, html_block
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline, html_inline
from markdown_it.token import Token
from markupsafe import Markup, escape

# None of these tags, if left open, formats the text after its comment, as an unclosed <b> would.
PLAIN_TAGS = frozenset({"details", "summary", "br", "hr", "kbd", "sub", "sup"})
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\s*/?>")
_HARMLESS = re.compile(rf"<!--|</?(?:{'|'.join(PLAIN_TAGS)})\s*/?>", re.IGNORECASE)
_TASK = re.compile(r"\A\[([ xX])\] ")
_LINK = re.compile(r"(?:https?://|mailto:|/(?!/)|#|[^:/?#]+(?:[/?#]|\Z))", re.IGNORECASE)
_BARE = re.compile(
    r"(?<![\w/@.])@(?P<name>[A-Za-z0-9](?:[A-Za-z0-9-]{0,40}[A-Za-z0-9])?)\b|\bhttps?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]}]"
)


def render(text: str) -> Markup:
    """Render untrusted Markdown as HTML without active elements or addresses."""
    return _render(text)


def without_front_matter(text: str) -> str:
    """A card without its leading YAML block."""
    match = re.match(r"---[ \t]*\r?\n.*?\r?\n---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
    return text[match.end() :] if match else text


@lru_cache(maxsize=512)
def _render(text: str) -> Markup:
    return Markup(_PARSER.render(text))  # noqa: S704  (the renderer below is what makes it safe)


def _html_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Accept a block of HTML that starts with an allowed tag; other HTML is text, and Markdown in it is rendered."""
    first = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    return bool(_HARMLESS.match(first)) and html_block(state, start, end, silent)


def _html_inline(state: StateInline, silent: bool) -> bool:
    return bool(_HARMLESS.match(state.src, state.pos)) and html_inline(state, silent)


def _plain_html(_renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """Raw HTML without comments, with the allowed tags without attributes, and with all other tags escaped."""
    content = _COMMENT.sub("", tokens[index].content)
    pieces, end = [], 0
    for tag in _TAG.finditer(content):
        name = tag[2].lower()
        if name in PLAIN_TAGS:
            pieces += [escape(content[end : tag.start()]), f"<{tag[1]}{name}>"]
            end = tag.end()
    pieces.append(escape(content[end:]))
    return "".join(pieces)


def _image_as_link(_renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """Show an image as a link: loading it would report the reader to another server."""
    token = tokens[index]
    return (
        f'<a href="{escape(str(token.attrs.get("src", "")))}" rel="nofollow ugc">{escape(token.content or "image")}</a>'
    )


def _mentions_and_addresses(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: Any, _env: Any
) -> str:
    """Plain text in which @names and bare web addresses outside links become links."""
    text = tokens[index].content
    if _inside_link(tokens, index):
        return str(escape(text))
    pieces, end = [], 0
    for match in _BARE.finditer(text):
        pieces += [str(escape(text[end : match.start()])), _link(match)]
        end = match.end()
    return "".join([*pieces, str(escape(text[end:]))])


def _link(match: re.Match[str]) -> str:
    text = str(escape(match[0]))
    if name := match["name"]:
        return f'<a class="mention" href="/{name}">{text}</a>'
    return f'<a href="{text}" rel="nofollow ugc">{text}</a>'


def _inside_link(tokens: Sequence[Token], index: int) -> bool:
    return sum(token.nesting for token in tokens[:index] if token.type in ("link_open", "link_close")) > 0


def _foreign_link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "nofollow ugc")
    return renderer.renderToken(tokens, index, options, env)


def _cell(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A table cell with its alignment as a class: the pages' policy allows no inline style."""
    token = tokens[index]
    style = str(token.attrs.pop("style", ""))
    if style:
        token.attrSet("class", style.replace("text-align:", "align-"))
    return renderer.renderToken(tokens, index, options, env)


def _show_tasks(state: StateCore) -> None:
    """Show `[x]` and `[ ]` at the start of a list item as checkboxes."""
    for item, _, inline in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if item.type == "list_item_open" and inline.children and inline.children[0].type == "text":
            first = inline.children[0]
            first.content = _TASK.sub(lambda match: "☐ " if match[1] == " " else "☑ ", first.content)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "breaks": False}).enable(["table", "strikethrough"])
    rules: dict[str, Callable[..., str]] = {
        "html_block": _plain_html,
        "html_inline": _plain_html,
        "image": _image_as_link,
        "text": _mentions_and_addresses,
        "link_open": _foreign_link,
        "th_open": _cell,
        "td_open": _cell,
    }
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    parser.block.ruler.at("html_block", _html_block, {"alt": ["paragraph", "reference", "blockquote"]})
    parser.inline.ruler.at("html_inline", _html_inline)
    parser.core.ruler.push("tasks", _show_tasks)
    parser.validateLink = lambda url: bool(_LINK.match(url.strip()))  # type: ignore[method-assign]
    return parser


_PARSER = _parser()
