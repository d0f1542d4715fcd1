"""What the tests of the bot share: a board and the secrets of its webhook."""

from __future__ import annotations

SECRET, OLD_SECRET = "s3cret", "0ld"
BOARD = """
name: demo
title: Demo
suite: starter
threads: always
effects: on
repos: {requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
"""
