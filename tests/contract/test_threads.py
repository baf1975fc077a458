"""One store, many threads: verbs are atomic, whoever calls them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from smallage.core.message import Crashed, Done, Outcome, Released, Retry, Settlement, settlement
from smallage.stores.base import Store
from tests.contract.kit import Session, like_group, results, task, uid


def together(*acts: Callable[[], None]) -> None:
    """Run the acts at once; what they raise fails the test."""
    errors: list[BaseException] = []
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], None]) -> None:
        try:
            start.wait()
            act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def drain(store: Store, name: str, seen: Counter[str], outcome_of: Callable[[int], Outcome]) -> None:
    """Work until the queue is empty; `seen` counts accepted ends."""
    session = Session(store, name)
    n = 0
    settlements: list[Settlement] = []
    while True:
        settled = store.settle(name, settlements, session.request(3))
        for given, verdict in zip(settlements, settled.verdicts, strict=True):
            assert verdict == "ok"
            if isinstance(given.outcome, Done):
                seen[given.id] += 1
        if not settled.claimed.claims:
            return
        settlements = []
        for claim in settled.claimed.claims:
            n += 1
            settlements.append(settlement(claim, Done(b"") if claim.releases + claim.failures else outcome_of(n)))


def test_each_task_is_completed_once(store: Store) -> None:
    store.push([task(n) for n in range(200)])
    counters = [Counter[str]() for _ in range(4)]
    outcomes: list[Outcome] = [Done(b""), Retry(), Done(b""), Released()]
    together(*(lambda k=k: drain(store, f"s{k}", counters[k], lambda n: outcomes[n % 4]) for k in range(4)))
    assert sum(counters, Counter()) == Counter({uid(n): 1 for n in range(200)})
    assert store.counts()[""]["done"] == 200


def test_each_member_is_counted_once(store: Store) -> None:
    group = like_group(store, rows=200, body=task(1, queue="bodies"))
    counters = [Counter[str]() for _ in range(4)]
    together(*(lambda k=k: drain(store, f"s{k}", counters[k], lambda n: Done(b"")) for k in range(4)))
    view = store.group(group)
    assert view is not None
    assert (view.done, view.running, sum(sum(c.values()) for c in counters)) == (200, 0, 200)
    assert {r.state for r in results(store, group)} == {"done"}
    assert Session(store, "last").ids(10, "bodies") == [uid(1)]


def test_one_of_many_equal_pushes_is_ok(store: Store) -> None:
    verdicts: list[str] = []

    def push() -> None:
        for n in range(30):
            verdicts.extend(store.push([task(n)]))

    together(push, push, push, push)
    assert Counter(verdicts) == {"ok": 30, "dup": 90}
    assert store.counts()["celery"]["ready"] == 30


def test_one_of_many_equal_settlements_is_ok(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(30)])
    claims = worker.claim(30)
    verdicts: list[str] = []

    def settle() -> None:
        for claim in claims:
            verdicts.append(worker.settle(claim, Done(b"1")))

    together(settle, settle, settle, settle)
    assert Counter(verdicts) == {"ok": 30, "dup": 90}


def test_a_loss_is_charged_once_however_many_see_it(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(20)])
    worker.claim(20)
    taken: list[str] = []
    together(*[lambda: taken.extend(store.tick([], ["s1"]).taken_back)] * 4)
    assert sorted(taken) == [uid(n) for n in range(20)]
    assert {view.lost for view in store.find("ready")} == {1}


def test_completion_and_cancellation_race_to_one_end(store: Store, worker: Session) -> None:
    store.push([task(n) for n in range(40)])
    claims = worker.claim(40)
    settled: list[str] = []
    revoked: list[str] = []

    def settle() -> None:
        for claim in claims:
            settled.append(worker.settle(claim, Done(b"1")))

    def revoke() -> None:
        for claim in reversed(claims):
            revoked.extend(store.revoke([claim.id], terminate=True))

    together(settle, revoke)
    ends = Counter(settled)["ok"] + Counter(revoked)["cancelled"]
    assert ends == 40
    totals = store.counts()[""]
    assert (totals["done"], totals["cancelled"]) == (Counter(settled)["ok"], Counter(revoked)["cancelled"])


def test_crashes_and_sessions_come_and_go(store: Store) -> None:
    store.push([task(n, max_crashes=1_000, max_lost=1_000) for n in range(40)])
    done: Counter[str] = Counter()

    def work(name: str) -> None:
        for n in range(60):
            session = Session(store, name)
            for claim in session.claim(3):
                outcome = Crashed() if n % 3 == 0 and claim.crashes == 0 else Done(b"")
                if session.settle(claim, outcome) == "ok" and isinstance(outcome, Done):
                    done[claim.id] += 1
            if n % 5 == 0:
                session.claim(2)
                store.leave(name)

    together(*(lambda k=k: work(f"s{k}") for k in range(3)))
    assert set(done.values()) <= {1}
    counts = store.counts()
    assert sum(counts.get("celery", {}).values()) + counts[""]["done"] == 40
