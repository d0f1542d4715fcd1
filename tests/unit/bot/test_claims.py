"""Which of a worker's claims the bot replaces before it publishes results."""

from __future__ import annotations

import json
from dataclasses import replace

from bot.evaluations.claims import PublishedResults, _file
from hub.records import Repo
from leaderboard.attempts import Details
from leaderboard.sample_checks import CheckedSamples
from leaderboard.steward_block import RescoredFrom, StewardBlock
from redis_state.board.sample_verdicts import RecomputedMetrics
from tests.support.units.details_samples import results


def test_claims_of_a_worker_about_checks_of_its_results_are_discarded() -> None:
    """Before it publishes, the bot discards a worker's claims that results were checked, doubted or rescored."""
    old = RescoredFrom(results="org/m/results_2020-01-01T00-00-00.000000.json", suite="s", suite_digest="d" * 64, at="")
    claimed = {"checked": CheckedSamples(samples=9, recomputed=9), "doubted": "all others", "rescored_from": old}
    honest = results()
    forged = replace(honest, block=honest.block.model_copy(update=claimed))
    details = Details(repo="org/m-details", commit="c" * 40, results_path="results.json")
    published = PublishedResults("a", Repo("dataset", "org/m-details"), details, forged)
    data = _file(published, CheckedSamples(samples=1), RecomputedMetrics(not_done="off"), None)
    block = StewardBlock.model_validate(json.loads(data)["steward"])
    assert (block.rescored_from, block.doubted) == (None, "")
    assert block.checked == CheckedSamples(samples=1, not_recomputed="off")
