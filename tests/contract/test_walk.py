"""A random walk over all verbs: the memory store as model beside the store under test, one clock, the same requests.

After every step the verdicts, all tasks, groups, sessions and open counts must agree, both audits must be clean and the
invariants below must hold. `SMALLAGE_WALK=long` walks further.
"""

from __future__ import annotations

import itertools
import os
import random
import tempfile
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, note, reject, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from smallage.core.message import (
    DAY_US,
    FOLLOW_ANY,
    FOLLOW_DEAD,
    Cancelled,
    Claim,
    Crashed,
    Done,
    End,
    Failed,
    Message,
    Outcome,
    Parked,
    Released,
    Replaced,
    Retry,
    Settlement,
    Snooze,
    member_id,
    member_of,
    settlement,
)
from smallage.core.states import OPEN, TERMINAL, State
from smallage.stores import base
from smallage.stores.base import (
    TOMBSTONE_US,
    ClaimRequest,
    GroupBatch,
    LimitSpec,
    SessionInfo,
    Settled,
    Store,
    TaskView,
    Ticked,
    Watch,
)
from smallage.testing import FakeClock
from smallage.testing.wrapper import Wrapper
from tests.contract.kit import SECOND, seat, task, uid

SESSIONS = ("s1", "s2", "s3")
QUEUES = ("a", "b")
TASKS = 20
GROUPS = tuple(uid(100 + n) for n in range(2))
ROWS = 6
UNLIKE = uid(150)
UNLIKE_MEMBERS = tuple(uid(200 + n) for n in range(6))
UNLIKE_SEATS = UNLIKE_MEMBERS[4:]
BODIES = 300
SEATS = tuple(uid(400 + n) for n in range(6))
LATE = tuple(uid(500 + n) for n in range(4))
KEYS = ("task:add", "task:strange")
SPECS = (
    None,
    None,
    LimitSpec(0),
    LimitSpec(1, SECOND, 2),
    LimitSpec(3, SECOND),
    LimitSpec(1, 5 * SECOND, 3),
    LimitSpec(7, 60 * SECOND, 4),
)
SCHEDULES = ("clean", "report")
STATES: tuple[State, ...] = ("scheduled", "ready", "running", "parked", "waiting", "done", "dead", "cancelled")
MAY_REVIVE = frozenset({"requeue", "group_retry", "forget"})
MAKES_ROOM = frozenset({"push", "settle", "group_push", "fire"})
"""Steps after which an ended task may be open again or gone; else only time takes it away."""

PURGED = frozenset({"ready", "scheduled", "waiting"})
"""What a purge may end: bodies are released by it."""

JUMPS = (1, SECOND, SECOND, 2 * SECOND, 2 * SECOND, 5 * SECOND, 16 * SECOND, -1, -SECOND, -3_600 * SECOND)

ACTS = {
    "push": 14,
    "claim": 22,
    "settle": 26,
    "group_push": 6,
    "group_push_unlike": 4,
    "progress": 2,
    "claim_again": 2,
    "settle_again": 4,
    "zombie": 6,
    "forge": 2,
    "lost_reply": 6,
    "tick": 8,
    "live": 2,
    "jump": 4,
    "jump_far": 1,
    "jump_to_due": 6,
    "announce": 2,
    "leave": 2,
    "revoke": 4,
    "requeue": 4,
    "forget": 2,
    "group_revoke": 1,
    "group_retry": 3,
    "unpark": 2,
    "pause": 2,
    "purge": 1,
    "push_seat": 4,
    "fill_seat": 6,
    "group_push_late": 3,
    "revoke_ahead": 1,
    "limit": 3,
    "schedule": 3,
    "fire": 4,
    "answer": 1,
}
"""What a step may be, and how often."""


class TwoHandles(Wrapper):
    """Each act goes through one of two handles on the store, as if through one of two processes."""

    def __init__(self, first: Store, second: Store) -> None:
        super().__init__(first)
        self.handles = (first, second)
        self.rng = random.Random(0)

    def around(self, verb: str, act: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return getattr(self.rng.choice(self.handles), verb)(*args, **kwargs)

    def setup(self) -> None:
        for handle in self.handles:
            handle.setup()

    def close(self) -> None:
        for handle in self.handles:
            handle.close()


def follow_of(task_id: str) -> int:
    """What follows an end is the same for all messages of an id. Of those that get parked one alone is followed up."""
    number = int(task_id[32:36], 16)
    if number < TASKS and number % 4 == 3:
        return FOLLOW_DEAD if number == 3 else 0
    return (FOLLOW_ANY, 0, FOLLOW_DEAD)[number % 3]


def is_ended(view: TaskView | None) -> bool:
    return view is not None and view.state in TERMINAL


class Walk(RuleBasedStateMachine):
    """The rules. Steps that touch the stores go through `both`."""

    other: ClassVar[Callable[[FakeClock], Store] | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.model: Store = base.open("memory://", clock=self.clock)
        self.stores = [self.model]
        opener = type(self).other
        if opener is not None:
            self.stores.append(opener(self.clock))
        self.count = itertools.count(1)
        self.last: tuple[str, tuple[Any, ...]] | None = None
        self.requests: dict[str, ClaimRequest] = {}
        self.claims: list[Claim] = []
        self.tokens: list[int] = []
        self.settlements: list[Settlement] = []
        self.bodies: dict[str, Message] = {}
        self.body_ids: list[str] = []
        self.before: dict[str, TaskView | None] = {}
        self.lives: dict[str, int] = {}
        self.births: dict[str, int] = {}
        self.deliveries: dict[tuple[str, int, int], int] = {}
        self.new_claims: list[Claim] = []
        self.completed: set[tuple[str, int, int]] = set()
        self.passed_us = 0
        self.verb = ""
        self.aged = False
        self.paused: set[str] = set()
        self.watches: list[Watch] = []
        self.counted: dict[str, Any] = {}
        self.follow_ups: list[str] = []
        self.watched: set[str] = set()
        self.replaced: set[str] = set()
        self.went_far = False
        self.went_back = False
        self.emptied: set[str] = set()

    def teardown(self) -> None:
        for watch in self.watches:
            watch.close()
        for store in self.stores:
            store.close()

    # -- the two stores side by side --------------------------------------------------------------------------------
    def both(self, verb: str, *args: Any, plain: Callable[[Any], Any] = lambda answer: answer) -> Any:
        """Do a verb on every store; answers must agree after `plain`. Returns the model's."""
        self.verb = verb
        self.last = (verb, args)
        note(f"{verb}{args}")
        answers = [getattr(store, verb)(*args) for store in self.stores]
        for answer in answers[1:]:
            agree(plain(answers[0]), plain(answer), f"{verb}{args}")
        return answers[0]

    def unique_us(self) -> int:
        """A small number of µs that no other delay has, so that no two tasks are due at one instant."""
        return next(self.count)

    def message(self, n: int, when: int = 0, expires: int | None = None, usual: bool = True) -> Message:
        n %= TASKS
        return task(
            n,
            b"work" if usual else b"other",
            queue=QUEUES[n % 2],
            priority=(0, 5)[n // 2 % 2],
            name="strange" if n % 4 == 3 else "add",
            delay_us=when * SECOND + self.unique_us() if when else 0,
            expires_in_us=expires * SECOND if expires else None,
            keep_us=(DAY_US, 0, 90 * SECOND)[n % 3],
            max_crashes=(3, 0, 1)[n % 3],
            max_lost=(10, 1, 0, 2)[n % 4],
            follow=follow_of(uid(n)),
        )

    # -- the steps --------------------------------------------------------------------------------------------------
    @initialize()
    def setup(self) -> None:
        for store in self.stores:
            store.setup()
            self.watches.append(store.watch())
            self.watches[-1].add([*self.ids(), *GROUPS, UNLIKE])
        self.watched.update(self.ids())
        for session in SESSIONS:
            self.both("announce", session, SessionInfo(names=("add",)))

    @rule(seed=st.integers(0, 2**64 - 1))
    def step(self, seed: int) -> None:
        """One act. Its kind and arguments come from a seed: all are equally near, and a walk shrinks step by step."""
        rng = random.Random(seed)
        (act,) = rng.choices(list(ACTS), list(ACTS.values()))
        note(f"# {act}")
        getattr(self, act)(rng)

    def push(self, rng: random.Random) -> None:
        free = [n for n in range(TASKS) if self.before.get(uid(n)) is None]
        if rng.random() < 0.8 and free:
            picks = rng.sample(free, min(len(free), rng.randint(1, 4)))
        else:
            picks = [rng.randrange(TASKS) for _ in range(rng.randint(1, 3))]
        usual = rng.random() < 0.9
        self.both(
            "push",
            [self.message(n, rng.choice((0, 0, 1, 20)), rng.choice((None, None, 15)), usual=usual) for n in picks],
        )

    def group_push(self, rng: random.Random) -> None:
        which = rng.randrange(2)
        group = GROUPS[which]
        view = self.model.group(group)
        total = view.total if view else 0
        odd = rng.choice(("repeat", "gap", "template", "")) if rng.random() < 0.3 else ""
        rows = max(0, min(rng.randint(0, 3), ROWS - total))
        offset = max(0, total + {"repeat": -rows, "gap": 1}.get(odd, 0))
        seal = rng.random() < 0.4
        template = task(
            0,
            b"odd" if odd == "template" else b"template",
            queue=QUEUES[which],
            priority=5,
            name="add",
            delay_us=(0, 3 * SECOND + 500_123)[which],
            expires_in_us=(None, 30 * SECOND)[which],
            keep_us=(DAY_US, 0)[which],
            max_crashes=1,
            follow=(FOLLOW_ANY, 0)[which],
        )
        batch = GroupBatch(
            id=group,
            template=template,
            offset=offset,
            rows=tuple(b"row-%d" % n for n in range(offset, offset + rows)),
            seal=seal,
            body=self.body_of(group) if seal and rng.random() < 0.7 else None,
            keep_us=(DAY_US, 0)[which],
        )
        self.both("group_push", batch)

    def group_push_unlike(self, rng: random.Random) -> None:
        view = self.model.group(UNLIKE)
        total = view.total if view else 0
        n = rng.randint(1, 2)
        places = len(UNLIKE_MEMBERS)
        offset = 0 if rng.random() < 0.2 else max(0, min(total, places - n))
        members = tuple(self.member(i) for i in range(offset, offset + n))
        seal = rng.random() < 0.4
        body = self.body_of(UNLIKE) if seal and rng.random() < 0.7 else None
        also = (self.message(rng.randrange(TASKS)),) if rng.random() < 0.3 else ()
        batch = GroupBatch(id=UNLIKE, offset=offset, members=members, seal=seal, body=body, also=also)
        self.both("group_push", batch)

    def member(self, index: int) -> Message:
        """The unlike member at a place; the last ones are seats."""
        member = UNLIKE_MEMBERS[index]
        if member in UNLIKE_SEATS:
            return seat(member, group=UNLIKE, index=index)
        follow = follow_of(member)
        return task(
            member, b"own", queue=QUEUES[index % 2], priority=5, max_lost=1, group=UNLIKE, index=index, follow=follow
        )

    def body_of(self, group: str) -> Message:
        """The body for the group's present life; it may come to fill a seat, also one of another group."""
        view = self.model.group(group)
        if group not in self.bodies or view is None or not view.sealed:
            number = next(self.count)
            seats = self.waiting(SEATS if group == UNLIKE else (*SEATS, *UNLIKE_SEATS))
            new = uid(BODIES + 1_000 + number)
            body = seats[number % len(seats)] if seats and number % 3 == 0 else new
            self.bodies[group] = task(
                body, b"body", queue="a", priority=0, delay_us=(number % 3) * SECOND, follow=follow_of(body)
            )
            if body == new:
                self.body_ids.append(new)
                self.see([new])
        return self.bodies[group]

    def see(self, ids: list[str]) -> None:
        """Watch ids that turned up on the way."""
        for watch in self.watches:
            watch.add(ids)
        self.watched.update(ids)

    # -- seats and what fills them ----------------------------------------------------------------------------------
    def waiting(self, ids: Iterable[str]) -> list[str]:
        views = self.model.state(list(ids))
        return [view.id for view in views if view is not None and view.state == "waiting"]

    def vacant(self, rng: random.Random) -> str:
        """An id to fill or to end: mostly one that waits."""
        waiting = self.waiting(self.ids())
        if waiting and rng.random() < 0.8:
            return rng.choice(waiting)
        return rng.choice([*SEATS, *UNLIKE_SEATS, uid(rng.randrange(TASKS))])

    def filling(self, rng: random.Random, task_id: str | None = None) -> Message:
        fills = task_id or self.vacant(rng)
        return task(
            fills,
            b"fill-%d" % rng.randrange(2),
            queue=rng.choice(QUEUES),
            priority=rng.choice((0, 5)),
            delay_us=SECOND + self.unique_us() if rng.random() < 0.2 else 0,
            expires_in_us=15 * SECOND if rng.random() < 0.2 else None,
            keep_us=rng.choice((DAY_US, 0)),
            max_crashes=rng.randrange(3),
            follow=follow_of(fills),
        )

    def end_of(self, rng: random.Random) -> End:
        ended = self.vacant(rng)
        return rng.choice(
            (
                End(ended, "dead", name="add", queue="a", result=b"upstream", reason="upstream"),
                End(ended, "dead", name="add", queue="a", result=b"upstream", reason="upstream"),
                End(ended, "cancelled", queue="b", reason="revoked", keep_us=0),
                End(ended, "done", result=b"given"),
            )
        )

    def push_seat(self, rng: random.Random) -> None:
        picks = rng.sample(SEATS, rng.randint(1, 2))
        self.both("push", [seat(n, queue=rng.choice(QUEUES), keep_us=rng.choice((DAY_US, 0))) for n in picks])

    def fill_seat(self, rng: random.Random) -> None:
        self.both("push", [self.filling(rng)])

    def group_push_late(self, rng: random.Random) -> None:
        group = rng.choice((*GROUPS, UNLIKE, UNLIKE))
        members = tuple(
            seat(n) if rng.random() < 0.3 else task(n, b"late", queue=QUEUES[0], priority=5, follow=follow_of(n))
            for n in rng.sample(LATE, rng.randint(1, 2))
        )
        also = (self.message(rng.randrange(TASKS)),) if rng.random() < 0.3 else ()
        self.both("group_push", GroupBatch(id=group, members=members, late=True, also=also))

    # -- work -------------------------------------------------------------------------------------------------------
    def request(self, session: str, n: int, rng: random.Random) -> ClaimRequest:
        queues = tuple(rng.sample(QUEUES, 2))
        request = ClaimRequest(queues, n, f"{session}-{next(self.count)}")
        self.requests[session] = request
        return request

    def claim(self, rng: random.Random) -> None:
        session = rng.choice(SESSIONS)
        if rng.random() < 0.9 and session not in {w.session for w in self.model.workers()}:
            self.both("announce", session, SessionInfo(names=("add",)))
        self.note_claims(self.both("claim", session, self.request(session, rng.randint(1, 4), rng)).claims)

    def claim_again(self, rng: random.Random) -> None:
        """The reply was lost. Where nothing had been found, a store may look again."""
        session = rng.choice(SESSIONS)
        if session in self.requests and self.requests[session].nonce in {claim.nonce for claim in self.claims}:
            self.note_claims(self.both("claim", session, self.requests[session]).claims)

    def note_claims(self, claims: Iterable[Claim]) -> None:
        known = set(self.tokens)
        for claim in claims:
            if claim.tok in known:
                continue  # a lost reply, repeated
            assert claim.expires_us is None or claim.expires_us > self.clock(), f"claimed after its expiry: {claim}"
            assert not self.tokens or claim.tok > self.tokens[-1], "tokens must rise"
            self.tokens.append(claim.tok)
            self.claims.append(claim)
            self.new_claims.append(claim)
            if claim.after is not None and claim.id not in self.follow_ups:
                self.follow_ups.append(claim.id)
                self.see([claim.id])

    def held(self) -> list[Claim]:
        current = {h.tok for session in SESSIONS for h in self.model.held(session)}
        return [claim for claim in self.claims if claim.tok in current]

    def outcome(self, claim: Claim, rng: random.Random) -> Outcome:
        if claim.name == "strange" and rng.random() < 0.5:
            return Parked()
        later = self.clock() + SECOND + self.unique_us()
        outcomes: list[Outcome] = [
            Done(b"result"),
            Done(b"result"),
            Done(None),
            Done(b"", (self.message(rng.randrange(TASKS)), self.message(rng.randrange(TASKS), 1))),
            Failed(b"error"),
            Failed(b"error"),
            Failed(None, "undecodable", (self.message(rng.randrange(TASKS)),)),
            Cancelled(b"stopped"),
            Retry(note=b"once more"),
            Retry(delay_us=5 * SECOND + self.unique_us()),
            Retry(due_us=later, payload=b"new", queue=QUEUES[rng.randrange(2)], priority=rng.randrange(10)),
            Retry(due_us=later + 1, expires_us=rng.choice((0, later + 2 * SECOND))),
            Snooze(2 * SECOND + self.unique_us()),
            Released(),
            Released(),
            Crashed(b"signal 9"),
            Crashed(b"signal 9"),
        ]
        return rng.choice([*outcomes, *self.moving_others(claim, rng)])

    def moving_others(self, claim: Claim, rng: random.Random) -> list[Outcome]:
        outcomes: list[Outcome] = [
            Done(b"result", (self.filling(rng), self.message(rng.randrange(TASKS)))),
            Done(b"result", (self.filling(rng),), (self.end_of(rng),)),
            Failed(b"error", "failed", (self.message(rng.randrange(TASKS)),), (self.end_of(rng), self.end_of(rng))),
            Done(None, (seat(rng.choice(SEATS)),)),
        ]
        if claim.after is not None:
            return outcomes * 3
        like = member_of(claim.id) is not None and claim.id not in {h.id for h in self.held()}
        own = () if like else (self.filling(rng, claim.id),)
        return [*outcomes, Replaced(), Replaced((self.message(rng.randrange(TASKS)),)), Replaced(own)]

    def settle(self, rng: random.Random) -> None:
        if held := self.held():
            picks = [rng.choice(held) for _ in range(rng.randint(1, 4))]
            given = [settlement(claim, self.outcome(claim, rng)) for claim in picks]
            session = rng.choice(SESSIONS)
            request = self.request(session, rng.randint(1, 2), rng) if rng.random() < 0.4 else None
            self.settle_all(session, given, request)

    def settle_all(self, session: str, given: list[Settlement], request: ClaimRequest | None = None) -> Settled:
        lives = [(s.id, self.lives.get(s.id, 0), s.gen) for s in given]
        settled: Settled = self.both("settle", session, given, request)
        for life, s, verdict in zip(lives, given, settled.verdicts, strict=True):
            if verdict == "ok":
                self.settlements.append(s)
            if verdict == "ok" and isinstance(s.outcome, Replaced):
                self.replaced.add(s.id)
            if verdict == "ok" and isinstance(s.outcome, Done | Failed | Cancelled):
                assert life not in self.completed, f"completed twice: {life}"
                self.completed.add(life)
        self.note_claims(settled.claimed.claims)
        return settled

    def settle_again(self, rng: random.Random) -> None:
        """An accepted settlement comes a second time, at any later moment: never a change."""
        if not self.settlements:
            return
        before = self.snapshot(self.model)
        (verdict,) = self.settle_all(rng.choice(SESSIONS), [rng.choice(self.settlements[-20:])]).verdicts
        assert verdict in ("dup", "stale")
        agree(unstale(before), unstale(self.snapshot(self.model)), "a repeated settlement changed something")

    def zombie(self, rng: random.Random) -> None:
        """Somebody who held a task once comes back with an answer, whatever happened meanwhile."""
        if not self.claims:
            return
        claim = rng.choice(self.claims[-30:])
        current = claim.tok in {c.tok for c in self.held()}
        before = self.snapshot(self.model)
        (verdict,) = self.settle_all(rng.choice(SESSIONS), [settlement(claim, self.outcome(claim, rng))]).verdicts
        assert (verdict == "ok") == current, f"{verdict} for {claim}"
        if not current:
            agree(unstale(before), unstale(self.snapshot(self.model)), "a zombie changed something")

    def forge(self, rng: random.Random) -> None:
        if not (held := self.held()):
            return
        claim = rng.choice(held)
        changes: list[dict[str, Any]] = [{"nonce": "forged"}, {"tok": claim.tok + 10**9}, {"gen": claim.gen + 1}]
        forged = msgspec.structs.replace(claim, **rng.choice(changes))
        (verdict,) = self.settle_all(SESSIONS[0], [settlement(forged, Done(b"forged"))]).verdicts
        assert verdict == "stale"
        assert self.both("progress", forged, b"forged") == "stale"

    def progress(self, rng: random.Random) -> None:
        if self.claims:
            self.both("progress", rng.choice(self.claims[-10:]), b"note-%d" % rng.randrange(9))

    def lost_reply(self, rng: random.Random) -> None:
        """The same call once more, as after a lost reply."""
        if self.last is None:
            return
        verb, args = self.last
        if verb == "settle":
            settled = self.both(verb, *args)
            assert "ok" not in settled.verdicts
            self.note_claims(settled.claimed.claims)
        elif verb == "claim":
            self.note_claims(self.both(verb, *args).claims)
        elif verb in ("push", "group_push"):
            answer = self.both(verb, *args)
            verdicts = answer if isinstance(answer, list) else [answer]
            assert "ok" not in verdicts or "conflict" in verdicts  # then the first call wrote nothing either
        elif verb == "fire":
            assert self.both(verb, *args) != "fired"

    # -- sessions and time ------------------------------------------------------------------------------------------
    def announce(self, rng: random.Random) -> None:
        names = ("add", "strange") if rng.random() < 0.3 else ("add",)
        info = SessionInfo(names=names, lease_us=rng.choice((15, 15, 4)) * SECOND, inbox="sup", node="celery@box")
        self.both("announce", rng.choice(SESSIONS), info)

    def tick(self, rng: random.Random) -> None:
        """One session may be missing (crashed, or standing still), proven dead, or the only one left."""
        self.tick_with(rng.choice(SESSIONS), rng.choice(("all", "all", "missing", "only", "dead")))

    def tick_with(self, session: str, how: str) -> None:
        others = [name for name in SESSIONS if name != session]
        alive = {"all": list(SESSIONS), "only": [session]}.get(how, others)
        self.both("tick", alive, [session] if how == "dead" else [], plain=plain_ticked)

    def live(self, rng: random.Random) -> None:
        """Time passes with ticks in it: long enough to lose a session that is silent."""
        session, how = rng.choice(SESSIONS), rng.choice(("all", "missing", "missing", "only"))
        for _ in range(4):
            self.advance(5 * SECOND)
            self.tick_with(session, how)
            self.break_ties()

    def advance(self, us: int) -> None:
        self.passed_us += us
        self.clock.advance(us=us)
        self.aged = True
        self.last = None

    def jump(self, rng: random.Random) -> None:
        """The clock goes on while nobody ticks, or is set back."""
        us = rng.choice(JUMPS)
        if us > 0 or self.went_far:  # what a tick may have removed for good would be there again
            us = abs(us)
            self.advance(us)
        else:
            self.clock.back(us=-us)
            self.went_back = self.aged = True
            self.last = None

    def jump_far(self, rng: random.Random) -> None:
        """Long enough for records to be gone."""
        us = rng.choice((61 * SECOND, 95 * SECOND, DAY_US, 8 * DAY_US))
        self.went_far = self.went_far or us >= DAY_US
        self.advance(us)

    def jump_to_due(self, rng: random.Random) -> None:
        ticked = self.both("tick", [], [], plain=plain_ticked)
        if ticked.next_due_us is not None:
            self.advance(max(0, min(ticked.next_due_us - self.clock(), DAY_US)))

    # -- what people do to a queue ----------------------------------------------------------------------------------
    def some_ids(self, rng: random.Random, *states: str) -> list[str]:
        """Some ids, mostly of tasks in these states."""
        fitting = [view.id for view in self.before.values() if view is not None and view.state in states]
        ids = fitting if fitting and rng.random() < 0.9 else [i for i, view in self.before.items() if view is not None]
        return [rng.choice(ids or [GROUPS[0]]) for _ in range(rng.randint(1, 3))]

    def revoke(self, rng: random.Random) -> None:
        states = ("running",) if rng.random() < 0.5 else tuple(OPEN)
        self.both("revoke", self.some_ids(rng, *sorted(states)), rng.random() < 0.5)

    def revoke_ahead(self, rng: random.Random) -> None:
        absent = [i for i, view in self.before.items() if view is None and i not in self.follow_ups]
        if absent:
            self.both("revoke", [rng.choice(absent)])

    def requeue(self, rng: random.Random) -> None:
        self.both("requeue", self.some_ids(rng, "dead"))

    def forget(self, rng: random.Random) -> None:
        absent = [i for i, view in self.before.items() if view is None]
        ahead = rng.sample(absent, min(len(absent), 6))
        self.both("forget", [*self.some_ids(rng, *sorted(TERMINAL)), rng.choice([*GROUPS, UNLIKE]), *ahead])

    def group_revoke(self, rng: random.Random) -> None:
        self.both("group_revoke", rng.choice([*GROUPS, UNLIKE]), rng.random() < 0.5)

    def group_retry(self, rng: random.Random) -> None:
        self.both("group_retry", rng.choice([*GROUPS, UNLIKE]))

    def unpark(self, rng: random.Random) -> None:
        self.both("unpark", rng.choice(("strange", None)))

    def leave(self, rng: random.Random) -> None:
        self.both("leave", rng.choice(SESSIONS), plain=sorted)

    def pause(self, rng: random.Random) -> None:
        queue = rng.choice(QUEUES)
        self.both("resume" if queue in self.paused else "pause", queue)
        self.paused ^= {queue}

    def purge(self, rng: random.Random) -> None:
        """Several follow-ups of one purge may stand in any order: not so many at once."""
        waits = {view.id for view in self.before.values() if view is not None and view.state in PURGED}
        if sum(follow_of(i) == FOLLOW_ANY for i in waits if i not in self.follow_ups) < 2:
            self.both("purge", rng.choice(QUEUES))

    # -- limits, schedules, answers ---------------------------------------------------------------------------------
    def limit(self, rng: random.Random) -> None:
        self.both("limit", rng.choice(KEYS), rng.choice(SPECS), rng.random() < 0.4)

    def schedule(self, rng: random.Random) -> None:
        name = rng.choice(SCHEDULES)
        match rng.choice(("put", "put", "put", "pause", "resume", "remove")):
            case "put":
                self.both(
                    "schedule_put", name, rng.choice((b"spec", b"spec", b"other")), rng.choice(("app", "operator"))
                )
            case "remove":
                self.both("schedule_remove", name)
            case how:
                self.both("schedule_pause", name, how == "pause")

    def fire(self, rng: random.Random) -> None:
        instant = self.clock() // (5 * SECOND) * 5 * SECOND + rng.randint(-1, 1) * 5 * SECOND
        message = self.filling(rng) if rng.random() < 0.3 else self.message(rng.randrange(TASKS))
        self.both("fire", rng.choice(SCHEDULES), instant, message, rng.random() < 0.1)

    def answer(self, rng: random.Random) -> None:
        self.both("answer", "ticket", rng.choice(SESSIONS), b"answer-%d" % rng.randrange(9))

    # -- what must hold after every step ----------------------------------------------------------------------------
    def ids(self) -> list[str]:
        members = [member_id(group, i) for group in GROUPS for i in range(ROWS)]
        named = [*UNLIKE_MEMBERS, *SEATS, *LATE, *self.body_ids, *self.follow_ups]
        return [uid(n) for n in range(TASKS)] + members + named

    def snapshot(self, store: Store) -> dict[str, Any]:
        """All that readers can see and that the stores must agree on."""
        seen: dict[str, Any] = dict(zip(self.ids(), store.state(self.ids()), strict=True))
        for group in (*GROUPS, UNLIKE):
            view = store.group(group)
            seen[f"group {group}"] = msgspec.structs.replace(view, seq=0) if view else None
            seen[f"results {group}"] = store.results(group, 0, 100)
        for session in SESSIONS:
            seen[f"held {session}"] = sorted((h.id, h.gen, h.tok, h.nonce) for h in store.held(session))
        seen["workers"] = sorted((w.session, w.info, w.lease_end_us, w.held) for w in store.workers())
        counts = store.counts()
        for queue, states in counts.items():
            if queue:
                seen[f"queue {queue}"] = {state: n for state, n in sorted(states.items()) if n}
        for queue in QUEUES:
            seen.setdefault(f"queue {queue}", {})
        seen["limits"], seen["schedules"] = store.limits(), store.schedules()
        seen["answers"] = store.answers("ticket") if not self.went_back else {}
        ends = () if self.passed_us >= TOMBSTONE_US else ("done", "dead", "cancelled")
        seen["totals"] = {name: counts[""].get(name, 0) for name in ("stale", "purged", *ends)}
        return seen

    @invariant()
    def all_is_well(self) -> None:
        seen = [self.snapshot(store) for store in self.stores]
        for other in seen[1:]:
            agree(seen[0], other, self.verb)
        for store in self.stores:
            breaches = store.audit()
            assert not breaches, f"after {self.verb}: {breaches}"
        pick = self.ids()[next(self.count) % len(self.ids())]
        payloads = [store.payload(pick) for store in self.stores]
        assert payloads.count(payloads[0]) == len(payloads), f"payload of {pick}: {payloads}"
        self.check_found()
        self.check_told(seen[0])
        self.check_bells(seen[0])
        self.check_tasks(seen[0])
        self.check_groups(seen[0])
        self.break_ties()
        self.aged = False

    def check_found(self) -> None:
        """A state's tasks, in pages of three, are the same everywhere."""
        state = STATES[next(self.count) % len(STATES)]
        found = []
        for store in self.stores:
            views: list[TaskView] = []
            while page := store.find(state, 3, views[-1].id if views else None):
                views += page
            found.append({view.id: view for view in views})
            assert len(found[-1]) == len(views), f"find repeats itself: {views}"
        for other in found[1:]:
            agree(found[0], other, f"find of {state}")

    def check_bells(self, seen: dict[str, Any]) -> None:
        """Whoever found a queue empty and listens hears of what is ready in it now, unless a limit holds that back."""
        if any(view.held_back for view in self.model.limits().values()):
            self.emptied.clear()
            return
        for queue in QUEUES:
            if not seen[f"queue {queue}"].get("ready"):
                self.emptied.add(queue)
            elif queue in self.emptied and queue not in self.paused:
                self.emptied.discard(queue)
                for store in self.stores:
                    assert store.listen("s1", (queue,), 5.0), f"{store.url}: no bell of {queue} after {self.verb}"

    def check_told(self, seen: dict[str, Any]) -> None:
        """Watchers hear of every end and of every change of a group's counters."""
        ended = {i for i in self.watched if is_ended(seen[i]) and not is_ended(self.before.get(i))}
        for group in (*GROUPS, UNLIKE):
            view = seen[f"group {group}"]
            counters = view and (view.done, view.failed, view.cancelled)
            if view is not None and counters != self.counted.get(group) and view.ended:
                ended.add(group)
            self.counted[group] = counters
        if self.aged:
            return  # a clock set back shows old ends again, of which nobody is told
        for store, watch in zip(self.stores, self.watches, strict=True):
            silent = set(ended)
            while silent:
                told = watch.wait(5.0)
                assert told, f"{store.url}: watchers of {silent} were not told after {self.verb}"
                silent -= told

    def check_tasks(self, seen: dict[str, Any]) -> None:
        """The edges of a task's life (I15, I16, I19)."""
        for task_id in self.ids():
            view: TaskView | None = seen[task_id]
            was = self.before.get(task_id)
            again = self.is_another(task_id, was, view)
            if again or (
                was is None and view is not None and not (self.aged and self.births.get(task_id) == view.pushed_us)
            ):
                self.lives[task_id] = self.lives.get(task_id, 0) + 1  # else it is seen again as the clock went back
            if was is not None and was.state in TERMINAL and not again and (view is None or view.state in OPEN):
                assert self.aged or self.verb in MAY_REVIVE, f"{task_id} left {was.state} by {self.verb}"
                if view is not None and self.verb in ("requeue", "group_retry"):
                    assert view.gen == was.gen + 1
            if was is not None and view is not None and was.state == view.state and is_ended(view) and not again:
                assert was == view, f"{task_id} changed after its end"
            self.before[task_id] = view
            if view is not None:
                self.births[task_id] = view.pushed_us
        self.check_deliveries()

    def is_another(self, task_id: str, was: TaskView | None, view: TaskView | None) -> bool:
        """A task that took the place of one that never ran, or a later follow-up of the same generation."""
        if was is None or view is None or was == view:
            return False
        if view.tok < was.tok or (view.gen == was.gen and view.releases < was.releases):
            return True  # the end and the new task were one act
        if was.state not in TERMINAL:
            return False
        if task_id in self.follow_ups:
            return view.gen == 1 and self.verb != "requeue"
        return was.reason == "upstream" and was.group is None and self.verb in MAKES_ROOM

    def check_deliveries(self) -> None:
        """Each time a task was handed out is accounted for (I17). Ended members keep no counts."""
        for claim in self.new_claims:
            key = (claim.id, self.lives[claim.id], claim.gen)
            self.deliveries[key] = self.deliveries.get(key, 0) + 1
        self.new_claims.clear()
        for task_id, view in self.before.items():
            if view is not None and not (view.index is not None and view.state in ("done", "cancelled")):
                counted = view.failures + view.crashes + view.lost + view.releases + view.ran
                assert counted == self.deliveries.get((task_id, self.lives[task_id], view.gen), 0), f"{view}"

    def check_groups(self, seen: dict[str, Any]) -> None:
        """Counters equal what the members say (I29); a body is released when, and only when, the group ended (I30)."""
        for group in (*GROUPS, UNLIKE):
            view = seen[f"group {group}"]
            if view is None:
                continue
            states = [r.state for r in seen[f"results {group}"]]
            assert len(states) == view.total
            counted = {"done": view.done, "dead": view.failed, "cancelled": view.cancelled, "running": view.running}
            assert {state: states.count(state) for state in counted} == counted, f"{view} {states}"
            assert bool(view.ended_us) == (view.sealed and view.ended == view.total)
            body = seen.get(view.body) if view.body else None
            if body is not None and view.ended_us and body.id in self.body_ids and body.id not in self.replaced:
                assert body.state != "waiting"

    def break_ties(self) -> None:
        """Of tasks due at one instant the order is open; keep one of each."""
        tied: dict[tuple[Any, ...], list[str]] = {}
        for view in self.model.state(self.ids()):
            if view is not None and view.due_us is not None and not (view.index is not None and view.tok == 0):
                tied.setdefault((view.due_us, view.queue, view.priority), []).append(view.id)
        for ids in tied.values():
            ids.sort(key=lambda task_id: task_id not in self.follow_ups)  # these cannot be revoked
            if len(ids) > 1 and ids[1] in self.follow_ups:
                reject()
        extra = [task_id for ids in tied.values() for task_id in ids[1:]]
        if extra:
            note(f"# break ties: revoke {extra}")
            for store in self.stores:
                assert store.revoke(extra) == ["cancelled"] * len(extra)
            self.before.update(zip(extra, self.model.state(extra), strict=True))


def plain_ticked(ticked: Ticked) -> Any:
    return msgspec.structs.replace(ticked, taken_back=tuple(sorted(ticked.taken_back)))


def unstale(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {**snapshot, "totals": {k: v for k, v in snapshot["totals"].items() if k != "stale"}}


def agree(expected: Any, got: Any, where: str) -> None:
    """Equal, or a failure that names what differs."""
    if expected == got:
        return
    if isinstance(expected, dict) and isinstance(got, dict):
        keys = [key for key in expected | got if expected.get(key) != got.get(key)]
        lines = [f"{key}:\n{differences(expected.get(key), got.get(key))}" for key in keys]
        raise AssertionError(f"after {where}\n" + "\n".join(lines))
    raise AssertionError(f"{where}\n{differences(expected, got)}")


def differences(expected: Any, got: Any) -> str:
    if isinstance(expected, msgspec.Struct) and type(expected) is type(got):
        names = [n for n in expected.__struct_fields__ if getattr(expected, n) != getattr(got, n)]
        return "\n".join(f"    {n}: model {getattr(expected, n)!r}, store {getattr(got, n)!r}" for n in names)
    return f"    model {expected!r}\n    store {got!r}"


# -- running it -------------------------------------------------------------------------------------------------------

LONG = os.environ.get("SMALLAGE_WALK") == "long"
EXAMPLES = {"memory": 40, "sqlite": 12, "redis": 12}


def two_handles(url: str, clock: FakeClock, **options: Any) -> Store:
    return TwoHandles(base.open(url, clock=clock, **options), base.open(url, clock=clock, **options))


def walk(kind: str, opener: Callable[[FakeClock], Store] | None) -> None:
    other = None if opener is None else staticmethod(opener)
    machine = type("Walk_" + kind, (Walk,), {"other": other})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES[kind] * (40 if LONG else 1),
            stateful_step_count=300 if LONG else 100,
            derandomize=not LONG,
            deadline=None,
            phases=[phase for phase in Phase if phase != Phase.explain],
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
@pytest.mark.timeout(36_000 if LONG else 600)
def test_the_model_keeps_the_invariants() -> None:
    walk("memory", None)


@pytest.mark.slow
@pytest.mark.timeout(36_000 if LONG else 600)
def test_sqlite_agrees_with_the_model() -> None:
    with tempfile.TemporaryDirectory(prefix="smallage-walk-") as folder:
        names = itertools.count()
        walk("sqlite", lambda clock: two_handles(f"sqlite:///{folder}/{next(names)}.db", clock))


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.timeout(36_000 if LONG else 600)
def test_redis_agrees_with_the_model(redis_url: str) -> None:
    names = itertools.count()
    walk("redis", lambda clock: two_handles(redis_url, clock, namespace=f"walk{next(names)}"))
