"""All keys in Redis; `redis_state.key_layout` builds them."""

from __future__ import annotations

from dataclasses import dataclass

from redis_state.key_layout import BoardKey, BoardKeyOf, KeyLayout


@dataclass(frozen=True)
class Keys(KeyLayout):
    """The keys of one board."""

    # --- deliveries, dirty marks, periodic work, webhook quotas, shadowed writes

    meters = BoardKey("meters")
    """Hash: `name|labels` of a counter or gauge for `/metrics` → its value."""
    inbox = BoardKey("inbox")
    """Stream of acknowledged deliveries, oldest first."""
    delivery = BoardKeyOf("delivery")
    """String that exists while the delivery with an id counts as received: its entry in `inbox`, and its write."""
    inbox_sizes = BoardKey("inbox-sizes")
    """List: the bytes of each entry of `inbox`, oldest first, so that the oldest can be dropped unread."""
    inbox_bytes = BoardKey("inbox-bytes")
    """String: the sum of `inbox_sizes`."""
    inbox_counts = BoardKey("inbox-counts")
    """Hash: result of handling a delivery → number of deliveries."""
    dirty = BoardKey("dirty")
    """Sorted set of dirty keys, by priority and time."""
    dirty_generations = BoardKey("dirty-generations")
    """Hash: dirty key → the number of its marks."""
    dirty_leases = BoardKey("dirty-leases")
    """Hash: dirty key → `owner generation expiry` of the sync that holds it."""
    dirty_tries = BoardKey("dirty-tries")
    """Hash: dirty key → failed syncs in a row, for any reason."""
    dirty_faults = BoardKey("dirty-faults")
    """Hash: dirty key → the number of its failed syncs whose only possible cause is the key itself."""
    parked = BoardKey("parked")
    """Hash: dirty key → JSON of why its sync is not retried."""
    wake = BoardKey("wake")
    """List that holds one token for each new dirty mark, for sync processes that wait."""
    day = BoardKey("day")
    """String: the last day, numbered from the epoch, whose daily work was marked dirty."""
    rounds = BoardKey("rounds")
    """Hash: periodic check → when, or at what point, it last ran."""
    webhook_trouble = BoardKey("webhook-trouble")
    """String: why the Hub's webhooks do not report everything; absent if they do."""
    hub_state = BoardKey("hub-state")
    """Hash: when the Hub last answered a sync process, its last error, when a sync last succeeded, `me`, the bot's id,
    and the time since which the Hub refuses the token for models' pages."""
    born = BoardKey("born")
    """String: the time since which Redis and a timer have run without a gap; earlier data may be lost."""
    ticked = BoardKey("ticked")
    """String: when a timer last ticked."""
    webhook_quota = BoardKey("echoes")
    """Hash: `own|all domain hour repo` → deliveries in that hour that Steward's writes caused, or all that came."""
    poll = BoardKey("poll")
    """String: the webhooks near their quota, which may stop; absent if there are none. If it is set, processes poll."""
    shadow = BoardKey("shadow")
    """Stream: shadowed writes, oldest first."""
    shadow_ids = BoardKey("shadow-ids")
    """Sorted set: ids of the writes listed in `shadow`, by time, so that each is listed once."""
    held_back = BoardKey("held-back")
    """Hash: dirty key whose sync was held back by the board's effects → those effects."""

    # --- requests: the index, the queue, durations, scores; all but measurements can be read from the Hub again

    requests = BoardKey("requests")
    """Hash: request path → JSON of its index entry, as its last sync saw it."""
    models = BoardKey("models")
    """Sorted set, all with the same score: `{model in lower case}\\0{path}` of each request."""
    weights = BoardKey("weights")
    """Sorted set, all with the same score: `{digest of the weights}\\0{path}` of each judged request."""

    def submissions(self, kind: str, name: str) -> str:
        """Sorted set: request paths of one `submitter` or `organisation`, by time of submission."""
        return self.key("submissions", kind, name)

    def catalog(self, by: str = "", value: str = "") -> str:
        """Sorted set: request paths of all requests, or of one `status` or `submitter`, by time of submission."""
        return self.key("catalog", by, value) if by else self.key("catalog")

    busy = BoardKey("busy")
    """Set: paths of the requests that are in RQ or run."""
    unjudged = BoardKey("unjudged")
    """Set: paths of the requests whose file was seen but not judged yet."""
    unanswered = BoardKey("unanswered")
    """Set: paths of unjudged requests about whose model the Hub does not answer, or whose retry is delayed."""
    request_changes = BoardKey("request-changes")
    """Stream: `paths`, as JSON, of requests whose entry was added, removed or changed; the newest few thousand."""
    request_threads = BoardKey("request-threads")
    """Hash: number of a thread in the requests repo → path of its request."""
    claimed_numbers = BoardKey("claimed-numbers")
    """Sorted set: first 12 digits of attempt ids, which stand for a request path → the highest claimed number."""
    claimed_numbers_until = BoardKey("claimed-numbers-until")
    """String: the commit of the requests repo up to which `claimed_numbers` was read."""
    origins = BoardKey("origins")
    """Hash: request path → JSON of its origin: the submitter, and how the file was submitted."""
    followers = BoardKeyOf("followers")
    """Set: dirty keys of the threads that wait for the end of the request at a path."""
    relaunches = BoardKey("relaunches")
    """Sorted set: the causes of relaunches by people, by time."""
    model_pages = BoardKey("model-pages")
    """Sorted set: models on whose repo a pull request with scores was opened within a day, by time."""
    waiting = BoardKey("waiting")
    """Hash: path of a request that waits for dispatch → JSON of the facts that decide its position."""
    waiting_changes = BoardKey("waiting-changes")
    """Sorted set: paths whose field of `waiting` was added, removed or changed, by the version after the change."""
    waiting_version = BoardKey("waiting-version")
    """String: the first version of `waiting` and the current one, which rises with each change."""
    turns = BoardKey("turns")
    """Hash: submitter → when their last attempt was claimed."""
    pauses = BoardKey("pauses")
    """Hash: the file of pauses as last read, and its git blob id."""
    durations = BoardKey("durations")
    """Hash: `suite size` → JSON of the seconds that each of the last evaluations of that kind took."""
    experience = BoardKey("experience")
    """Hash: level of a round → JSON of the last waits in it, as shares of the expected wait."""

    def timings(self, day: int) -> str:
        """Hash: kind of wait, end or queue length on one day, numbered from the epoch → its count."""
        return self.key("timings", str(day))

    timed = BoardKey("timed")
    """Sorted set: attempts whose start or end was counted within a month, by time."""
    spent = BoardKey("spent")
    """Hash: attempt that ended within a day → JSON of its GPU-seconds, tier and submitter."""
    spent_requests = BoardKey("spent-requests")
    """Hash: request path → GPU-seconds of all its ended attempts."""
    scores = BoardKey("scores")
    """Hash: path of a finished request → JSON of its scores."""
    scores_state = BoardKey("scores-state")
    """Hash: `filled`, the source from which scores were last filled; `told`, the commits of the last change of results,
    after which they are filled again."""
    licences = BoardKey("licences")
    """Hash: model with a finished request → its licence on the Hub, "" if it names none."""
    table_rows = BoardKey("table-rows")
    """Hash: path of a request → JSON of its row in the aggregated table."""
    other_table_rows = BoardKey("other-table-rows")
    """Hash: id of a row of an earlier commit, or of another program → JSON of the row."""
    other_table_rows_version = BoardKey("other-table-rows-version")
    """Number: rises with each change of the other rows."""

    # --- facts from the Hub, except requests: heads, threads, people, decisions, flags, adoption; all can be read again

    renamed = BoardKey("renamed")
    """Hash: former name of a model, in lower case → its next name on the board."""
    head = BoardKeyOf("head")
    """String: the last commit of a repo whose changes were marked dirty."""
    newest = BoardKeyOf("newest")
    """String: the newest known commit of a repo, with the prefix `?` if another may be newer (`redis_state.heads`)."""
    life = BoardKey("life")
    """String: a random id, made anew after Redis was emptied."""
    person = BoardKeyOf("person")
    """String: the Hub's answer to a question about a person, for a short time."""
    called_now = BoardKeyOf("called-now")
    """String: the current name of a dataset that was linked under this name; expires after a day."""
    own_threads = BoardKeyOf("own-threads")
    """Sorted set by name: `title NUL number` of each thread in a repo that the bot opened and saw in its list."""
    own_threads_until = BoardKeyOf("own-threads-until")
    """String: when the newest of `own_threads` was opened, by the Hub's clock."""
    thread_counts = BoardKeyOf("thread-counts")
    """Hash: thread of a repo → its number of comments, in the list (`7`) and when it was last read (`7 read`).
    `7 noted` exists once a version that puts plans and pull requests on the maintainers' list saw the thread."""
    doubles = BoardKey("doubles")
    """Set: `path NUL path` of each pair of duplicate requests that was reported, with a proposal to approve."""
    waiting_threads = BoardKey("waiting-threads")
    """Hash: dirty key of a thread that waits for a maintainer → JSON of the facts that the list shows."""
    maintainers_list = BoardKey("maintainers-list")
    """Hash: the digest of the text of the list of items that wait for maintainers, its announcements, its last edit."""
    trials = BoardKey("trials")
    """Hash: dirty key of a trial that waits or runs → JSON of the trial."""
    trial_end = BoardKeyOf("trial-end")
    """String: JSON of how a trial ended, until its reply shows it; expires."""
    pulls = BoardKey("pulls")
    """Hash: number of a pull request in the requests repo, or `repo number` in another → JSON of its record,
    written when it was checked."""
    pull_links = BoardKeyOf("pull-links")
    """Set: dirty keys of the discussions that link a pull request, `repo number`."""
    decisions = BoardKey("decisions")
    """Hash: id of a decision → JSON of the decision."""
    decision_order = BoardKey("decision-order")
    """Sorted set: ids of decisions by time."""
    flags = BoardKey("flags")
    """Hash: `name` of a model, `thread` and its URL, `weights` and their digest → JSON of flag records."""
    flags_state = BoardKey("flags-state")
    """Hash: the `commit` of the flags repo from which `flags` was read."""
    flag_reports = BoardKey("flag-reports")
    """Hash: model in lower case → JSON of its reporters and of the findings since."""
    flag_rechecks = BoardKey("flag-cures")
    """Hash: flagged model in lower case → JSON of the last check whether the cause of its flag is gone."""
    adoption = BoardKey("adoption")
    """Hash: the record of adoption, its git blob id, and the commit whose files `adopted_files` holds."""
    adopted_files = BoardKey("adopted-files")
    """Hash: path of a request file at the commit of adoption → its git blob id, 20 bytes."""

    # --- predictions

    predictions = BoardKeyOf("predictions")
    """Sorted set of an account: its accepted submissions of predictions within a week, by time."""
    seasons = BoardKey("seasons")
    """Hash: name of a season that ended → JSON of its frozen table, as the results repo has it."""

    # --- staged edits of files on the Hub, and the budget of commits

    edits = BoardKeyOf("edits")
    """Hash: edit id → version and JSON of an edit of a repo."""
    edit_order = BoardKeyOf("edit-order")
    """Sorted set: edit id of a repo by the number under which it was first staged."""
    edit_repos = BoardKey("edit-repos")
    """Hash: edit id → the repo for which it is staged."""
    edit_waiters = BoardKey("edit-waiters")
    """Hash: edit id → lines, each a dirty key to mark when that edit has ended: other edits must follow it."""
    edit_number = BoardKey("edit-number")
    """String: the number of edits that were ever staged."""
    edit_subjects = BoardKey("edit-subjects")
    """Hash: subject that waits for edits (a request's path) → number of edits."""
    edit_end = BoardKeyOf("edit-end")
    """String: `landed` or `void`, for a day."""
    commits = BoardKeyOf("commits")
    """Sorted set: Steward's commits in a repo within the last day, by time."""
    commits_counted = BoardKeyOf("commits-counted")
    """String: exists once `commits` has the commits in a repo from the day before Redis was first used."""
    commits_paused = BoardKeyOf("commits-paused")
    """String: the time before which the Hub accepts no commit in a repo."""

    # --- messages from the web server to syncs, counted requests, sessions; all expire within a day

    def message(self, kind: str, message_id: str) -> str:
        """Hash, for a day at most: a message to a sync, and its answer (`redis_state.board.mailbox`)."""
        return self.key(kind, message_id)

    asked = BoardKeyOf("asked")
    """String, for a minute: the number of requests that `bot.web.incoming.over_limit` counted."""
    session = BoardKeyOf("session")
    """String, for hours: JSON of a signed-in person, by the digest of the id in their cookie."""

    backend_runs = BoardKeyOf("backend-runs")
    """Hash: id of a live run of the backend of a tier → JSON of the run."""
    backend_past = BoardKeyOf("backend-past")
    """Hash: like `backend_runs`, for runs that ended within 30 days."""
    backend_troubles = BoardKey("backend-troubles")
    """Hash: tier → JSON of why its backend's attempts do not run."""

    # --- evaluations in progress: attempts, workers, canaries, and RQ's queues

    attempt = BoardKeyOf("attempt")
    """Hash: the state of one attempt."""
    attempts = BoardKey("attempts")
    """Sorted set: attempts in progress by the time of their last heartbeat."""
    claims = BoardKey("claims")
    """Hash: request path → the attempt whose worker last asked for the claim."""
    claim = BoardKeyOf("claim")
    """List on which a worker waits for the bot's answer to its claim of an attempt."""
    workers = BoardKey("workers")
    """Hash: worker name → JSON of its card and last beat."""
    ended = BoardKeyOf("ended")
    """Sorted set: the recent ends of attempts of a suite, as JSON, by time."""
    canary = BoardKeyOf("canary")
    """Hash: the cause for which a canary of a suite is `asked`, its `verdict`, when causes were last settled."""
    canary_taken = BoardKeyOf("canary-taken")
    """String: the worker that runs the canary of a suite; expires."""
    accepted_digests = BoardKeyOf("accepted-digests")
    """Hash, by the digest of a suite: fingerprints of accepted tasks. Workers only read it."""
    refused_tasks = BoardKeyOf("refused-tasks")
    """Hash, by the digest of a suite: worker → why it waits for an operator."""
    set_aside = BoardKey("set-aside")
    """Hash: worker that takes no more jobs → JSON of why. Workers only read it."""
    sample_verdict = BoardKeyOf("sample-verdict")
    """Hash: the records of comparing published results with their samples; expires."""

    cross_check = BoardKeyOf("cross-check")
    """String: JSON of the progress of an attempt's cross-check; expires."""

    def worker_queue(self, worker: str) -> str:
        """Name of the RQ queue from which one worker alone takes: cross-checks."""
        return f"steward-1-{self.board}-only-{worker}"

    def queue(self, tier: str) -> str:
        """Name of the RQ queue of one tier (RQ puts its own prefix before it)."""
        return f"steward-1-{self.board}-{tier}"
