"""What the random walk sends: messages, seats, bodies, outcomes."""

from __future__ import annotations

import random
from collections.abc import Iterable

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
    Snooze,
    member_of,
)
from smallage.stores.base import (
    ClaimRequest,
)
from tests.contract.kit import SECOND, seat, task, uid
from tests.contract.walk_world import QUEUES, SEATS, TASKS, UNLIKE, UNLIKE_MEMBERS, World

UNLIKE_SEATS = UNLIKE_MEMBERS[4:]
BODIES = 300


def follow_of(task_id: str) -> int:
    """What follows an end is the same for all messages of an id. Of those that get parked one alone is followed up."""
    number = int(task_id[32:36], 16)
    if number < TASKS and number % 4 == 3:
        return FOLLOW_DEAD if number == 3 else 0
    return (FOLLOW_ANY, 0, FOLLOW_DEAD)[number % 3]


class Messages(World):
    """Random messages and outcomes; some meet what is there, some do not."""

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

    def request(self, session: str, n: int, rng: random.Random) -> ClaimRequest:
        queues = tuple(rng.sample(QUEUES, 2))
        request = ClaimRequest(queues, n, f"{session}-{next(self.count)}")
        self.requests[session] = request
        return request
