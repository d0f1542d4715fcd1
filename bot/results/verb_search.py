"""`/search`: models by name, licence or any other column, in the language that the pages and the API understand too."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import ANYONE
from bot.read_models import serializers
from bot.results import searching

MOST = 10
QUERY = Param("query", "words", "names, separated by `;`, and terms such as `Hub License: mit`", required=True)


def run(call: Call) -> Answer:
    """The first few that are found, the best first; names that are like it where there are none."""
    found = searching.find(call.context, call.get("query"), most=MOST)
    lines = [(hit, serializers.summary(call.context, hit.entry)) for hit in found.hits]
    return Answer(say("search", query=call.get("query"), found=found, lines=lines, looked=searching.LOOKED_AT))


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
