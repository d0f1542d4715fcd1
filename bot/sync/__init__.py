"""One sync for each kind of thing that is kept in step with the Hub: gather, decide, act.

`loop.py` knows which dirty key is synced by what, `process.py` runs it, `reconcile.py` finds what nobody told of. The
syncs themselves, a folder for what they are about:

    repo/      the requests repo as a whole
    requests/  one request and its file
    attempts/  its evaluation
    status/    its thread
    queue/     who waits for a worker
    threads/   threads of people
    pulls/     their pull requests
    renames/   of models, by pull request or by command
    changes/   what maintainers approve
    board/     tables, flags and logs
    web/       what the web asks
"""
