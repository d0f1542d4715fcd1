"""The board file and the webhook's secret that the bot's tests use."""

from __future__ import annotations

SECRET, OLD_SECRET = "s3cret", "0ld"
BOARD = """
name: demo
title: Demo
suite: starter
threads: always
effects: on
# The models of these tests are a config and a letter: what is asked of real ones is tested with real ones.
admission:
  off: [python-files, causal, headers, layers, size, honest-precision, half-precision, tokenizer-loads, chat-template,
        vocabulary, special-tokens, base-declared, licence, model-card, category, merge, duplicate, copy,
        quota-submitter, quota-organisation]
repos: {requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
"""
