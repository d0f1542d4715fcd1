"""The routes: one module with one router for each part of the Hub's API, and the pages.

The order matters if an address matches several routes: the pages come last, because they match any `/{ns}/{name}`.
"""

from __future__ import annotations

from localhub.routes import (
    account_repos,
    admin,
    buckets,
    collections,
    commit,
    content,
    gated_access,
    git_http,
    jobs,
    leaderboard,
    lfs,
    lfs_files,
    likes,
    oauth,
    pages,
    refs,
    repo_info,
    repo_lifecycle,
    resolve,
    spaces,
    threads,
    webhooks,
    whoami,
)

_API = (
    *(whoami, oauth, refs, commit, content, lfs, lfs_files, repo_lifecycle, gated_access, threads, webhooks, admin),
    *(likes, collections, account_repos, leaderboard, jobs, spaces, buckets),
)
_BROADER = (repo_info, resolve, git_http, pages)

API_ROUTERS = [module.router for module in (*_API, *_BROADER)]
