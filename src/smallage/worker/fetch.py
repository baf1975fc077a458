"""The engine of a child: settle what ended, claim what there is room for, hand it out. The only hot loop.

One thread, one round trip at a time. While it is in flight, ended tasks gather for the next; when nothing is in flight
an outcome is sent at once. So an idle worker answers without delay and a busy one settles a hundred tasks in one go.
When tasks come singly but fast, it pauses a moment between round trips instead of listening for bells (`pace.Rhythm`).
"""

from __future__ import annotations

import logging
import math
import os
import random
from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle
from time import monotonic
from typing import TYPE_CHECKING

from smallage.core.codec import encode_error
from smallage.core.errors import WorkerLostError
from smallage.core.message import Claim, Crashed, Outcome, Released, Settlement
from smallage.core.moments import mark
from smallage.stores.base import MAX_CLAIM, Claimed, ClaimRequest
from smallage.worker import pace
from smallage.worker.bells import Bells
from smallage.worker.board import Board, Farewell
from smallage.worker.desk import Desk
from smallage.worker.finish import GivenUp, Patience, settle
from smallage.worker.slot import abandon

if TYPE_CHECKING:
    from smallage.stores.base import Store
    from smallage.worker.pools.base import Pool
    from smallage.worker.tasklog import TaskLog

logger = logging.getLogger("smallage.worker")

LOOK_AGAIN = 30.0
"""Seconds after which an idle engine claims without a bell."""
REST = 5.0
"""Longest sleep in seconds, so that the supervisor sees the engine come round; less where leases are short."""
SOLITARY = 2
"""Crashes after which a task runs alone in its child."""
BATCH = 200
"""Outcomes settled in one go, at most."""


def _in_turn(queues: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return cycle([queues[at:] + queues[:at] for at in range(len(queues))] or [()])


class Engine:
    """See the module's text. `run` is the thread's body; everything else may be called from other threads."""

    def __init__(
        self,
        store: Store,
        session: str,
        queues: tuple[str, ...],
        desk: Desk,
        pool: Pool,
        board: Board,
        log: TaskLog,
        *,
        places: int,
        prefetch_bound: int | None = None,
        max_tasks: int | None = None,
        spent: Callable[[], bool] | None = None,
        burst: bool = False,
        rest: float = REST,
        on_recycle: Callable[[], None] = lambda: None,
    ) -> None:
        self.session = session
        self.farewell = Farewell.NONE
        self.leaving = False
        """Nothing is in hand any more, and the session is being left."""
        self._store, self._desk, self._pool, self._board = store, desk, pool, board
        self._orders = _in_turn(queues)
        """Each queue is the first to be tried in its turn, so that a full one keeps none of the others waiting."""
        self.totals: dict[str, int] = {}
        """Tasks that have ended here, by name."""
        self._log = log
        self._pace = pace.Pace(places, prefetch_bound)
        self._forecast = pace.Forecast()
        self._rhythm = pace.Rhythm()
        self._places = places
        self._left = math.inf if max_tasks is None else max_tasks
        self._spent = spent
        self._burst = burst
        self._longest_rest = rest
        self._on_recycle = on_recycle
        self._patience = Patience(desk.wake, self._out_of_time)
        self._claiming = Patience(desk.wake, lambda: bool(self._why) or self._out_of_time())
        self._bells = Bells(store, lambda: self.session, queues, self.ring)
        self._random = random.Random(os.urandom(16))
        self._in_hand = 0
        self._toks: set[int] = set()
        """Tokens of the claims in hand."""
        self._breaks = store.breaks
        self._doubtful = False
        """The store may believe that we have claims which are not in hand."""
        self._solitary: deque[Claim] = deque()
        """Claims that crashed their child before: each runs when nothing else does."""
        self._alone: Claim | None = None
        self._hungry = True
        """There may be something to claim."""
        self._more = False
        """The last claim was granted in full, so most likely more is waiting."""
        self._claimed_at = self._due_at = -math.inf
        self._look_at = 0.0
        """When to look whether running bodies are about to end."""
        self._pause_until: float | None = None
        """The next round trip is not to be made before; then it is to claim, for nobody listens to the bells."""
        self._head: Claim | None = None
        self._head_since = 0.0
        self._stop_at: float | None = None
        self._why = Farewell.NONE

    # -- from other threads -------------------------------------------------------------------------------------------
    def ring(self) -> None:
        """There may be work in the queues."""
        self._hungry = True
        self._desk.wake.set()

    def stop(self, why: Farewell, within: float = math.inf) -> None:
        """Claim no more, hand back what has not started, end when the running bodies have ended; after `within`
        seconds hand those back too. Called again, the shorter time counts."""
        at = monotonic() + within
        if self._stop_at is None or at < self._stop_at:
            self._stop_at = at
        if self._why == Farewell.NONE:
            self._why = why
        self._desk.wake.set()

    def expel(self, claim: Claim, outcome: Outcome, at_once: bool) -> None:
        """`claim`'s body goes on beyond its limit: settle it, and let this child be replaced once the others have
        ended (`at_once`: there are no others, and the process has to end for the body to end)."""
        self._desk.put(claim, outcome, 0.0)
        self.stop(Farewell.RECYCLED, 0.0 if at_once else math.inf)

    def serve(self, queues: tuple[str, ...]) -> None:
        """Claim from these queues from now on."""
        self._orders = _in_turn(queues)
        self._bells.serve(queues)
        self.ring()

    def drop_backlog(self) -> None:
        """Forget the claims that have not started: they are no longer ours. What came meanwhile goes back."""
        dropped = self._empty_backlog()
        for claim in dropped:
            self._desk.put(claim, None, 0.0)
        self._doubtful = True
        self._desk.wake.set()

    def drop(self, task_id: str, tok: int) -> bool:
        """Forget one claim if it has not started; says whether it was there."""
        for claim in tuple(self._desk.backlog):
            if claim.id == task_id and claim.tok == tok:
                try:
                    self._desk.backlog.remove(claim)
                except ValueError:  # a pool was quicker
                    return False
                self._desk.put(claim, None, 0.0)
                return True
        return False

    def rename(self, session: str) -> None:
        """Go on under a new session; what was held under the old one is no longer ours."""
        self.drop_backlog()
        self.session = session
        self.ring()

    # -- the loop -----------------------------------------------------------------------------------------------------
    def run(self) -> None:
        """Work until stopped; then everything in hand has ended or gone back, and the session is left."""
        self._bells.start()
        try:
            while not self._over():
                self._turn()
        except GivenUp:
            self.farewell = Farewell.FORCED
        finally:
            self._bells.close()
        self._leave()

    def _turn(self) -> None:
        self._board.seen = monotonic()
        if self._pause_until is not None:
            self._pause(self._pause_until)
        ended = self._gather()
        if self._why:
            self._hand_back(ended)
        elif self._doubtful or self._breaks != self._store.breaks:
            self._compare(ended)
        room = self._room()
        if ended or (room and self._may_claim()):
            self._round_trip(ended, room)
        elif not self._desk.ended:
            self._rest(room)

    def _pause(self, until: float) -> None:
        """Let tasks end and new ones come; whoever puts an outcome down meanwhile does not wake us."""
        while not self._why and (left := until - monotonic()) > 0:
            self._desk.wake.wait(left)
        self._pause_until = None
        self._hungry = True

    def _gather(self) -> list[Settlement]:
        """What has ended since the last look."""
        ended, pop = [], self._desk.ended.popleft
        times: list[float] = []
        for _ in range(min(len(self._desk.ended), BATCH)):
            claim, outcome, took = pop()
            self._in_hand -= 1
            self._toks.discard(claim.tok)
            if claim is self._alone:
                self._alone = None
            if outcome is None:
                continue
            ended.append(Settlement(claim.id, claim.gen, claim.tok, claim.nonce, outcome))
            self.totals[claim.name] = self.totals.get(claim.name, 0) + 1
            if took:
                times.append(took)
                if self._log.enabled:
                    self._log.ended(claim, outcome, took)
        if times:
            self._count(times)
        return ended

    def _compare(self, ended: list[Settlement]) -> None:
        """Hand back what the store has us hold and is not in hand. A server that died may come back without the last
        that it had confirmed, and then waits for outcomes that it has had, while we keep renewing its session."""
        self._doubtful = False  # first: whoever drops claims puts them on the desk before setting it
        if self._desk.ended or monotonic() >= self._board.fence:
            self._doubtful = True  # in a later turn
            return
        breaks = self._store.breaks
        known = self._toks.union(one.tok for one in ended)
        held = self._patience.call("tell what is in hand", lambda: self._store.held(self.session))
        gone = [Settlement(one.id, one.gen, one.tok, one.nonce, Released()) for one in held if one.tok not in known]
        if gone:
            logger.warning("%d task(s) that the store believes to run here do not run: handing them back", len(gone))
            settle(self._patience, self._store, self.session, gone, None)
        self._breaks = breaks

    def _count(self, times: list[float]) -> None:
        """So many bodies have ended, after so many seconds each."""
        seconds = sum(times)
        self._pace.saw(seconds, len(times))
        if seconds >= pace.LONG * len(times):
            self._forecast.saw(times)
        self._left -= len(times)
        if self._left <= 0 or (self._spent is not None and self._spent()):
            self._recycle()

    def _recycle(self) -> None:
        if not self._why:
            self.stop(Farewell.RECYCLED)
            self._on_recycle()

    def _room(self) -> int:
        if self._why or self._solitary or self._alone is not None:
            return 0
        room = min(self._pace.capacity(self._ending()) - self._in_hand, MAX_CLAIM)
        return max(0, room if self._left == math.inf else min(room, int(self._left) - self._in_hand))

    def _ending(self) -> int:
        """How many long bodies are about to end, so that the next claims may be fetched: only while work is waiting."""
        if not self._more or self._pace.length < pace.LONG:
            return 0
        now = monotonic()
        if now < self._look_at:
            return 0
        started = [slot.started for slot in self._pool.slots if slot.claim is not None]
        ending, self._look_at = self._forecast.look(now, started)
        return ending

    def _may_claim(self) -> bool:
        now = monotonic()
        if now >= self._board.fence:
            return False
        return self._hungry or now >= self._due_at or now - self._claimed_at >= LOOK_AGAIN

    def _round_trip(self, ended: list[Settlement], room: int) -> None:
        request, began = None, monotonic()
        if room and began < self._board.fence:
            self._hungry = False  # before asking: a bell that rings meanwhile counts
            request = ClaimRequest(next(self._orders), room, f"{self._random.getrandbits(64):016x}")
        if ended:
            mark("settling", len(ended))
            answer = settle(self._patience, self._store, self.session, ended, request)
            claimed = answer.claimed
            if self._board.holds_once:
                self._board.forget_once({one.tok for one in ended})
            self._board.settled += len(ended)
            if "stale" in answer.verdicts:
                self._log.stale(ended, answer.verdicts)
        elif request is None:  # the fence was reached just now
            return
        else:
            asked = request
            try:
                claimed = self._claiming.call("claim", lambda: self._store.claim(self.session, asked))
            except GivenUp:  # told to stop, so it is no longer wanted
                return
        if request is not None:
            self._note_when_to_claim(claimed, request.n)
            if len(claimed.claims) < request.n:
                self._queues_are_empty(began, len(ended), len(claimed.claims))
            self._take(claimed.claims)

    def _queues_are_empty(self, began: float, settled: int, claimed: int) -> None:
        """The round trip that began then has left nothing to claim: look again in a moment, or listen for a bell."""
        self._rhythm.saw(began, settled, claimed)
        if self._hungry:
            return
        gap = self._rhythm.gap()
        if gap and claimed:
            self._pause_until = began + gap
        else:
            self._bells.want()

    def _note_when_to_claim(self, claimed: Claimed, asked: int) -> None:
        self._claimed_at = now = monotonic()
        self._due_at = math.inf
        if claimed.next_due_us is not None:
            self._due_at = now + max(0.0, (claimed.next_due_us - claimed.now_us) / 1e6)
        self._more = len(claimed.claims) == asked
        if self._more:
            self._hungry = True

    def _take(self, claims: tuple[Claim, ...]) -> None:
        """Put claims on the desk."""
        if not claims:
            if self._burst and not self._in_hand and not self._hungry:
                self.stop(Farewell.FINISHED)
            return
        self._in_hand += len(claims)
        self._toks.update([claim.tok for claim in claims])
        mark("claimed", *(claim.id for claim in claims))
        if self._log.enabled:
            self._log.received(claims)
        backlog = self._desk.backlog
        for claim in claims:
            if self._why or (claim.crashes >= SOLITARY and self._places > 1):  # stopping: goes back in the next turn
                self._solitary.append(claim)
            else:
                backlog.append(claim)
        self._hand_out()

    def _hand_out(self) -> None:
        waiting = len(self._desk.backlog)
        if waiting:
            awake = self._in_hand - waiting - len(self._solitary) - len(self._desk.ended)
            if awake > 0:  # without those who may be at it for long
                long_ago = monotonic() - pace.SHARE
                awake -= sum(1 for slot in self._pool.slots if slot.claim is not None and slot.started < long_ago)
            self._pool.offer(self._pace.wakes(waiting, max(0, awake)))

    def _rest(self, room: int) -> None:
        """Sleep until something has ended, a bell rings, something is due or a stall must be looked into."""
        if self._solitary and self._in_hand == len(self._solitary) and not self._why:
            self._alone = self._solitary.popleft()
            self._desk.backlog.append(self._alone)
            self._pool.offer(1)
        if not room and self._pace.length >= pace.LONG:
            self._hungry = self._bells.leave_to_others() or self._hungry
        desk = self._desk
        desk.asleep = True
        if not desk.ended and not self._over():
            desk.wake.wait(self._patience_for_sleep(room))
        desk.asleep = False
        if desk.backlog and not desk.ended:
            self._look_into_stall()

    def _patience_for_sleep(self, room: int) -> float:
        now = monotonic()
        until = now + self._longest_rest
        if room:
            if self._hungry and now >= self._board.fence:
                until = min(until, now + 0.2)
            until = min(until, self._due_at, self._claimed_at + LOOK_AGAIN)
        if self._desk.backlog:
            until = min(until, now + pace.STALL)
        if self._more and self._look_at > now:
            until = min(until, self._look_at)
        if self._stop_at is not None:
            until = min(until, self._stop_at)
        return max(0.0, until - now)

    def _look_into_stall(self) -> None:
        """Claims wait and nobody takes them: wake everybody; when nobody is left to wake, hand them back."""
        try:
            head = self._desk.backlog[0]
        except IndexError:
            return
        now = monotonic()
        if head is not self._head:
            self._head, self._head_since = head, now
            return
        if now - self._head_since < pace.STALL or now >= self._board.fence:
            return
        if self._pool.idle():
            self._pool.offer(self._places)
        elif now - self._head_since >= pace.LONG:
            self._pace.stalled()
            self._forecast.failed()
            back = self._empty_backlog()
            mark("released", len(back))
            for claim in back:
                self._desk.put(claim, Released(), 0.0)

    def _empty_backlog(self) -> list[Claim]:
        claims: list[Claim] = []
        try:
            while True:
                claims.append(self._desk.backlog.popleft())
        except IndexError:
            return claims

    # -- the end ------------------------------------------------------------------------------------------------------
    def _over(self) -> bool:
        return bool(self._why) and self._in_hand == 0 and not self._desk.ended

    def _out_of_time(self) -> bool:
        self._board.seen = monotonic()  # asked between two tries: waiting for a store that is away is no frost
        return self._stop_at is not None and monotonic() >= self._stop_at + 2.0

    def _hand_back(self, ended: list[Settlement]) -> None:
        """While stopping: what has not started goes back now, what runs when the time is over."""
        back = self._empty_backlog()
        back.extend(self._solitary)
        self._solitary.clear()
        if self._stop_at is not None and monotonic() >= self._stop_at:
            running = self._take_away_running()
            if running:
                self.farewell = Farewell.FORCED
                logger.warning("Handing back %d running task(s) unfinished", len(running))
            back.extend(running)
        once = self._board.once()
        for claim in back:
            self._in_hand -= 1
            self._toks.discard(claim.tok)
            outcome: Outcome = Released()
            if claim.tok in once:
                outcome = Crashed(encode_error(WorkerLostError("The worker stopped before the body had ended.")))
            ended.append(Settlement(claim.id, claim.gen, claim.tok, claim.nonce, outcome))

    def _take_away_running(self) -> list[Claim]:
        taken = []
        for slot in self._pool.slots:
            claim = slot.claim
            if claim is not None and slot.abandoned is not claim and abandon(slot, claim):
                taken.append(claim)
        return taken

    def _leave(self) -> None:
        self.leaving = True
        self._pool.close()
        if self.farewell == Farewell.NONE:
            self.farewell = self._why
        if self._board.holds_once:  # not settled: leaving would have them started again
            return
        try:
            self._store.leave(self.session)
        except Exception as error:  # the supervisor, or at the latest the lease, hands back what is left
            logger.warning("Store: cannot leave: %s", error)
