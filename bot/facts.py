"""Facts about a model, gathered for admission: a few calls, no weights."""

from __future__ import annotations

from bot.probe import MAX_CONFIG, Probe
from hub.client import Hub
from hub.errors import BadRequest, Disabled, Gated, RepoNotFound, RevisionNotFound, TooLarge
from hub.records import Repo
from leaderboard.admission.facts import ConfigFacts, ModelFacts, ModelFile


def gather_model_facts(hub: Hub, probe: Probe, model: str, revision: str) -> ModelFacts:
    """What the Hub and the installed transformers say about `model` at `revision`: two calls."""
    try:
        found = hub.model_facts(model, revision)
    except (RepoNotFound, BadRequest):
        return ModelFacts("no-model")
    except RevisionNotFound:
        return ModelFacts("no-revision")
    except Gated:
        return ModelFacts("gated")
    except Disabled:
        return ModelFacts("disabled")
    if found.private:
        return ModelFacts("private", found.sha, id=found.id, is_private=True)
    files = tuple(ModelFile(file.name, file.size) for file in found.files)
    return ModelFacts("found", found.sha, _config(hub, probe, model, found.sha, files), files, id=found.id)


def _config(hub: Hub, probe: Probe, model: str, sha: str, files: tuple[ModelFile, ...]) -> ConfigFacts:
    if all(file.name != "config.json" for file in files):
        return ConfigFacts("missing")
    try:
        file = hub.read_file(Repo("model", model), "config.json", sha, max_bytes=MAX_CONFIG)
    except TooLarge as error:
        return ConfigFacts("unreadable", error=str(error))
    return probe.load(file.data)
