"""One sync for each kind of thing that is kept in step with the Hub: gather, decide, act.

`loop.py` knows which dirty key is synced by what, `process.py` runs it, `reconcile.py` finds what nobody told of. The
others by what they are about, the sync itself first:

    the requests repo  requests_repo.py   first_look.py  origins.py  kept.py  duplicates.py
    one request        request.py   gather.py  judging.py  attempt.py  publication.py  earlier.py  numbers.py  dates.py
                       old.py  unreadable.py  scores.py  costs.py  timing.py
    its file           edits.py, for whoever changes one: relaunching.py  submitting.py  queue_rules.py
    its thread         status_thread.py   views.py  places.py  own_threads.py  closing.py  quota.py
    the queue          queue.py   line.py  pauses.py  outbreaks.py  durations.py
    threads of people  threads.py   first_answer.py  following.py  waiting_threads.py  rename_links.py
    pull requests      pulls.py   pull_checks.py  pull_record.py  pull_report.py  merging.py  approving.py
    renames            rename_pulls.py, by pull request; rename_saga.py, by command   rename_sources.py  rename_facts.py
                       rename_after.py
    what is approved   proposals.py   changesets.py  removing.py
    tables and logs    contents.py  flags.py  decisions.py
    the web asks       checks.py  submissions.py  errands.py
"""
