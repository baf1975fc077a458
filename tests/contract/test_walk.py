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
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    rule,
    run_state_machine_as_test,
)

from smallage.core.message import (
    DAY_US,
    FOLLOW_ANY,
    Cancelled,
    Claim,
    Done,
    Failed,
    Replaced,
    Settlement,
    settlement,
)
from smallage.core.states import OPEN, TERMINAL
from smallage.stores import base
from smallage.stores.base import (
    ClaimRequest,
    GroupBatch,
    LimitSpec,
    SchedulePut,
    SessionInfo,
    Settled,
    Store,
    Ticked,
)
from smallage.testing import FakeClock
from smallage.testing.wrapper import Wrapper
from tests.contract.kit import SECOND, seat, task, uid
from tests.contract.walk_messages import Messages, follow_of
from tests.contract.walk_world import GROUPS, LATE, QUEUES, ROWS, SEATS, SESSIONS, TASKS, UNLIKE, UNLIKE_MEMBERS, agree

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


class Walk(Messages):
    """The rules."""

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

    # -- seats and what fills them ----------------------------------------------------------------------------------
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
                self.both("schedules_put", [self.put(rng, name) for _ in range(rng.randint(1, 3))])
            case "remove":
                self.both("schedule_remove", name)
            case how:
                self.both("schedule_pause", name, how == "pause")

    def put(self, rng: random.Random, name: str) -> SchedulePut:
        return SchedulePut(
            name=name if rng.random() < 0.5 else rng.choice(SCHEDULES),
            spec=rng.choice((b"spec", b"spec", b"other")),
            source=rng.choice(("app", "operator")),
            keep=rng.random() < 0.3,
            over=rng.choice((None, None, b"", b"spec", b"other")),
        )

    def fire(self, rng: random.Random) -> None:
        instant = self.clock() // (5 * SECOND) * 5 * SECOND + rng.randint(-1, 1) * 5 * SECOND
        message = self.filling(rng) if rng.random() < 0.3 else self.message(rng.randrange(TASKS))
        spec = rng.choice((None, None, b"spec", b"other"))
        self.both("fire", rng.choice(SCHEDULES), instant, message, rng.random() < 0.1, spec)

    def answer(self, rng: random.Random) -> None:
        self.both("answer", "ticket", rng.choice(SESSIONS), b"answer-%d" % rng.randrange(9))


def plain_ticked(ticked: Ticked) -> Any:
    return msgspec.structs.replace(ticked, taken_back=tuple(sorted(ticked.taken_back)))


def unstale(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {**snapshot, "totals": {k: v for k, v in snapshot["totals"].items() if k != "stale"}}


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
