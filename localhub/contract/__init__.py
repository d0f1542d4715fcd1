"""Tests of the facts about the Hub that a bot relies on, for any Hub: `python -m localhub.contract --help`."""
