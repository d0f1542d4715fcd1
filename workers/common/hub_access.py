"""Where the Hub is and the token that a worker shows there."""

from __future__ import annotations

from dataclasses import dataclass, field

from huggingface_hub import HfApi


@dataclass(frozen=True)
class HubAccess:
    """The Hub at `endpoint`. `token` writes details repos and nothing else; it never reaches a child or a log."""

    endpoint: str
    token: str | None = field(default=None, repr=False)

    def api(self) -> HfApi:
        """A client that speaks with this token; False keeps one that lies around on the machine from being used."""
        return HfApi(endpoint=self.endpoint, token=self.token or False, library_name="steward")
