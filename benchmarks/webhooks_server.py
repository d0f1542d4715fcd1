"""huggingface_hub's WebhooksServer with a handler that does nothing. Run by an interpreter that has gradio.

It imports nothing of Steward, because that interpreter does not have it.
"""

from __future__ import annotations

import gradio  # type: ignore[import-not-found]
from huggingface_hub import WebhookPayload, WebhooksServer


async def hub(payload: WebhookPayload) -> None:
    """Take the parsed payload and do nothing."""


def main() -> None:
    """Serve until killed; port and secret come from the environment."""
    with gradio.Blocks() as page:
        gradio.Markdown("A server that is measured.")
    server = WebhooksServer(ui=page)
    server.add_webhook("/hub")(hub)
    server.launch(server_name="127.0.0.1", share=False, ssr_mode=False)


if __name__ == "__main__":
    main()
