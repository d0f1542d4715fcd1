"""Every key in Redis, in one place: `steward:1:{board}:…`, where 1 is the version of the layout."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Keys:
    """The keys of one board."""

    board: str

    def _key(self, *parts: str) -> str:
        return ":".join(("steward:1", self.board, *parts))

    @property
    def meters(self) -> str:
        """Hash: `name|labels` of what is counted or measured for `/metrics` → its value."""
        return self._key("meters")

    # deliveries
    @property
    def inbox(self) -> str:
        """Stream of deliveries that were acknowledged, oldest first."""
        return self._key("inbox")

    def delivery(self, delivery_id: str) -> str:
        """String that exists while `delivery_id` counts as received: its entry in `inbox`, and its write."""
        return self._key("delivery", delivery_id)

    @property
    def inbox_sizes(self) -> str:
        """List: the bytes of each entry of `inbox`, oldest first, so that the oldest can go without being read."""
        return self._key("inbox-sizes")

    @property
    def inbox_bytes(self) -> str:
        """String: the sum of `inbox_sizes`."""
        return self._key("inbox-bytes")

    @property
    def inbox_counts(self) -> str:
        """Hash: what became of deliveries → how many."""
        return self._key("inbox-counts")

    # dirty marks
    @property
    def dirty(self) -> str:
        """Sorted set of dirty keys, by priority and time."""
        return self._key("dirty")

    @property
    def dirty_generations(self) -> str:
        """Hash: dirty key → how often it was marked."""
        return self._key("dirty-generations")

    @property
    def dirty_leases(self) -> str:
        """Hash: dirty key → `owner generation expiry` of the sync that holds it."""
        return self._key("dirty-leases")

    @property
    def dirty_tries(self) -> str:
        """Hash: dirty key → failed syncs in a row, and the last error."""
        return self._key("dirty-tries")

    @property
    def parked(self) -> str:
        """Hash: dirty key → JSON of why its sync is not tried any more."""
        return self._key("parked")

    @property
    def wake(self) -> str:
        """List that holds one token for each new dirty mark, for sync processes that wait."""
        return self._key("wake")

    # what is known of the Hub; can always be read again
    def head(self, repo: str) -> str:
        """String: the last commit of `repo` whose changes were marked dirty."""
        return self._key("head", repo)

    @property
    def requests(self) -> str:
        """Hash: request path → JSON of what its last sync saw."""
        return self._key("requests")

    @property
    def models(self) -> str:
        """Sorted set, all with the same score: `{model in lower case}\\0{path}` of each request."""
        return self._key("models")

    @property
    def weights(self) -> str:
        """Sorted set, all with the same score: `{digest of the weights}\\0{path}` of each request that was judged."""
        return self._key("weights")

    def submissions(self, kind: str, name: str) -> str:
        """Sorted set: request path by the time of its submission, of one `submitter` or `organisation`."""
        return self._key("submissions", kind, name)

    def person(self, question: str) -> str:
        """String: the Hub's answer to a question about a person, for a short time."""
        return self._key("person", question)

    @property
    def waiting_threads(self) -> str:
        """Hash: dirty key of a thread that waits for a maintainer → JSON of what they want to know of it."""
        return self._key("waiting-threads")

    @property
    def day(self) -> str:
        """String: the day, counted from the epoch, whose daily work was called for last."""
        return self._key("day")

    @property
    def decisions(self) -> str:
        """Hash: id of a decision → JSON of it."""
        return self._key("decisions")

    @property
    def decision_order(self) -> str:
        """Sorted set: id of a decision by its time."""
        return self._key("decision-order")

    def followers(self, path: str) -> str:
        """Set: dirty keys of the threads that wait for the end of the request at `path`."""
        return self._key("followers", path)

    @property
    def relaunches(self) -> str:
        """Sorted set: what caused a relaunch by a person → when."""
        return self._key("relaunches")

    @property
    def waiting(self) -> str:
        """Hash: path of a request that waits for its turn → JSON of what decides about it."""
        return self._key("waiting")

    @property
    def waiting_changes(self) -> str:
        """Sorted set: path whose line in `waiting` came, went or changed, by the version that this made."""
        return self._key("waiting-changes")

    @property
    def waiting_version(self) -> str:
        """String: the first version of `waiting` and the present one, which rises with every change of it."""
        return self._key("waiting-version")

    @property
    def turns(self) -> str:
        """Hash: submitter → when the last attempt of theirs was claimed."""
        return self._key("turns")

    @property
    def pauses(self) -> str:
        """Hash: the file of pauses as it was last read, and its git blob id."""
        return self._key("pauses")

    @property
    def durations(self) -> str:
        """Hash: `suite size` → JSON of how many seconds each of the last evaluations of that kind took."""
        return self._key("durations")

    @property
    def experience(self) -> str:
        """Hash: level of a round → JSON of how long the last ones in it waited, as shares of what was expected."""
        return self._key("experience")

    def timings(self, day: int) -> str:
        """Hash: what was counted on one day, counted from the epoch, of waits, ends and the queue → how often."""
        return self._key("timings", str(day))

    @property
    def timed(self) -> str:
        """Sorted set: attempts whose beginning or end was counted within a month, by time."""
        return self._key("timed")

    @property
    def spent(self) -> str:
        """Hash: attempt that ended within a day → JSON of its GPU-seconds and whose they are."""
        return self._key("spent")

    @property
    def spent_requests(self) -> str:
        """Hash: request path → GPU-seconds of all of its attempts that ended."""
        return self._key("spent-requests")

    def catalog(self, by: str = "", value: str = "") -> str:
        """Sorted set: request path by the time of its submission; of all, or of one `status` or `submitter`."""
        return self._key("catalog", by, value) if by else self._key("catalog")

    @property
    def busy(self) -> str:
        """Set: paths of the requests that lie in RQ or run."""
        return self._key("busy")

    @property
    def request_changes(self) -> str:
        """Stream: `paths`, as JSON, of requests whose entry came, went or changed; the newest few thousand."""
        return self._key("request-changes")

    @property
    def unjudged(self) -> str:
        """Set: paths of the requests whose file was seen and not judged yet."""
        return self._key("unjudged")

    @property
    def request_threads(self) -> str:
        """Hash: number of a thread in the requests repo → path of the request that it is about."""
        return self._key("request-threads")

    @property
    def origins(self) -> str:
        """Hash: request path → JSON of who submitted it, and how."""
        return self._key("origins")

    def own_threads(self, repo: str) -> str:
        """Sorted set by name: `title NUL number` of each thread in `repo` that we opened and saw in its list."""
        return self._key("own-threads", repo)

    def own_threads_until(self, repo: str) -> str:
        """String: when the newest of them was opened, as the Hub tells it."""
        return self._key("own-threads-until", repo)

    def thread_counts(self, repo: str) -> str:
        """Hash: thread of `repo` → how many comments it had, in the list (`7`) and when it was last read (`7 read`)."""
        return self._key("thread-counts", repo)

    @property
    def pulls(self) -> str:
        """Hash: number of a pull request in the requests repo, or `repo number` in another → JSON of what was
        remembered when it was checked."""
        return self._key("pulls")

    def pull_links(self, pull: str) -> str:
        """Set: dirty keys of the discussions that link the pull request `repo number`."""
        return self._key("pull-links", pull)

    @property
    def rounds(self) -> str:
        """Hash: what is looked at on a timer → when, or where, the last look was."""
        return self._key("rounds")

    @property
    def webhook_trouble(self) -> str:
        """String: why the Hub's webhooks do not tell us everything; absent where they do."""
        return self._key("webhook-trouble")

    @property
    def hub_state(self) -> str:
        """Hash: when the Hub last answered a sync process, what it said when it did not, and `me`, the bot's id."""
        return self._key("hub-state")

    @property
    def born(self) -> str:
        """String: when this Redis was first used for the board, so that a silence can be told from amnesia."""
        return self._key("born")

    # edits of files on the Hub, staged until they have landed
    def edits(self, repo: str) -> str:
        """Hash: edit id → version and JSON of an edit of `repo`."""
        return self._key("edits", repo)

    def edit_order(self, repo: str) -> str:
        """Sorted set: edit id of `repo` by the number under which it was first staged."""
        return self._key("edit-order", repo)

    @property
    def edit_repos(self) -> str:
        """Hash: edit id → the repo for which it is staged."""
        return self._key("edit-repos")

    @property
    def edit_waiters(self) -> str:
        """Hash: edit id → lines, each a dirty key to mark when that edit has ended, for edits that come after it."""
        return self._key("edit-waiters")

    @property
    def edit_number(self) -> str:
        """String: how many edits were ever staged."""
        return self._key("edit-number")

    @property
    def edit_subjects(self) -> str:
        """Hash: what waits for edits (a request's path) → for how many."""
        return self._key("edit-subjects")

    def edit_end(self, edit: str) -> str:
        """String: `landed` or `void`, for a day."""
        return self._key("edit-end", edit)

    def commits(self, repo: str) -> str:
        """Sorted set: our commits in `repo` within the last day, by time."""
        return self._key("commits", repo)

    def commits_paused(self, repo: str) -> str:
        """String: the time before which the Hub wants no commit in `repo`."""
        return self._key("commits-paused", repo)

    # what was there before the board was adopted
    @property
    def adoption(self) -> str:
        """Hash: the record of adoption, its git blob id, and the commit whose files `adopted_files` holds."""
        return self._key("adoption")

    @property
    def adopted_files(self) -> str:
        """Hash: path of a request file at the commit of adoption → its git blob id, 20 bytes."""
        return self._key("adopted-files")

    # effects that did not happen
    @property
    def shadow(self) -> str:
        """Stream: what would have been done, oldest first."""
        return self._key("shadow")

    @property
    def shadow_ids(self) -> str:
        """Sorted set: ids of what was listed in `shadow`, by time, so that each is listed once."""
        return self._key("shadow-ids")

    @property
    def held_back(self) -> str:
        """Hash: dirty key whose sync would have done more than the board's effects let it → those effects."""
        return self._key("held-back")

    # what evaluations came to
    @property
    def scores(self) -> str:
        """Hash: path of a request that finished → JSON of its scores."""
        return self._key("scores")

    # flags
    @property
    def flags(self) -> str:
        """Hash: `name` of a model, `thread` and its address, `weights` and their digest → JSON of records of flags."""
        return self._key("flags")

    @property
    def flags_state(self) -> str:
        """Hash: the `commit` of the flags repo that `flags` was read from."""
        return self._key("flags-state")

    @property
    def flag_reports(self) -> str:
        """Hash: model in lower case → JSON of who reported it, and of what was found since."""
        return self._key("flag-reports")

    @property
    def flag_cures(self) -> str:
        """Hash: flagged model in lower case → JSON of how far the cause of its flag is gone."""
        return self._key("flag-cures")

    # what webhooks have left of their day
    @property
    def echoes(self) -> str:
        """Hash: `own|all domain hour repo` → deliveries that our writes caused, or that came at all, in that hour."""
        return self._key("echoes")

    @property
    def poll(self) -> str:
        """String, while webhooks may fall silent for want of quota: which do, in words. Poll instead."""
        return self._key("poll")

    # checks that somebody asked for on the web
    def question(self, digest: str) -> str:
        """String, for two minutes: JSON of what was asked."""
        return self._key("question", digest)

    def answer(self, digest: str) -> str:
        """String, for a minute: JSON of the answer."""
        return self._key("answer", digest)

    def asked(self, counter: str) -> str:
        """String, for a minute: how often one client, or `all` of them, asked."""
        return self._key("asked", counter)

    # what somebody submitted by a program
    def submission(self, digest: str) -> str:
        """Hash, for a day: JSON of what was `asked`, by whom, and of the `answer` once there is one."""
        return self._key("submission", digest)

    # those who are signed in on the pages
    def session(self, digest: str) -> str:
        """String, for hours: JSON of who is signed in; `digest` is that of the id in their cookie."""
        return self._key("session", digest)

    def errand(self, name: str) -> str:
        """Hash, for an hour: JSON of what was `asked`, by whom, what is `settled`, and the `answer`."""
        return self._key("errand", name)

    # evaluations
    def attempt(self, attempt: str) -> str:
        """Hash: the state of one attempt."""
        return self._key("attempt", attempt)

    @property
    def attempts(self) -> str:
        """Sorted set: living attempts by the time of their last beat."""
        return self._key("attempts")

    @property
    def claims(self) -> str:
        """Hash: request path → the attempt whose worker asked last for the claim."""
        return self._key("claims")

    @property
    def workers(self) -> str:
        """Hash: worker name → JSON of its card and last beat."""
        return self._key("workers")

    def ended(self, suite: str) -> str:
        """Sorted set: how attempts of `suite` ended lately, as JSON, by time."""
        return self._key("ended", suite)

    def canary(self, suite: str) -> str:
        """Hash: why a canary of `suite` was `asked` for, its `verdict`, and when causes were settled last."""
        return self._key("canary", suite)

    def canary_taken(self, suite: str) -> str:
        """String, while a worker runs the canary of `suite`: which."""
        return self._key("canary-taken", suite)

    def claim(self, attempt: str) -> str:
        """List on which a worker waits for the bot's answer to its claim."""
        return self._key("claim", attempt)

    def queue(self, tier: str) -> str:
        """Name of the RQ queue of one tier (RQ puts its own prefix before it)."""
        return f"steward-1-{self.board}-{tier}"
