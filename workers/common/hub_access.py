"""The Hub's address and the worker's token."""

from __future__ import annotations

from dataclasses import dataclass, field

from huggingface_hub import HfApi


@dataclass(frozen=True)
class HubAccess:
    """The Hub at `endpoint`. `token` may write only details repos; it never reaches a child or a log."""

    endpoint: str
    token: str | None = field(default=None, repr=False)

    def api(self) -> HfApi:
        """A Hub client with this token; False keeps huggingface_hub from using a token stored on the machine."""
        return HfApi(endpoint=self.endpoint, token=self.token or False, library_name="steward")
