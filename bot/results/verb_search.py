"""`/search`: find models by name, licence or any other column, with the query language of the pages and the API."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import ANYONE
from bot.core.context import BoardContext
from bot.core.render import Safe
from bot.read_models import serializers
from bot.results import searching

MAX_HITS = 10
QUERY = Param("query", "words", "names, separated by `;`, and filters such as `Hub License: mit`", required=True)


def run(call: Call) -> Answer:
    """Answer with the best hits, or with similar names where there are none."""
    result = searching.find(call.context, call.get("query"), limit=MAX_HITS)
    return Answer(result_text(call.context, call.get("query"), result))


def result_text(context: BoardContext, query: str, result: searching.SearchResult) -> Safe:
    """The result of a search in Markdown."""
    lines = [(hit, serializers.summary(context, hit.entry)) for hit in result.hits]
    return say("search", query=query, found=result, lines=lines, scanned=searching.MAX_SCANNED)


SEARCH = Verb(
    name="search",
    summary="find models by name, licence or any other column",
    who=ANYONE,
    run=run,
    params=(QUERY,),
    examples=(
        "/search yi-34b; mixtral",
        "/search mixtral; Hub License: apache-2.0",
        "/search Type: chat; Average: >= 30",
    ),
)
