"""The checker of kill loops: it accepts what may happen, and names what must not."""

from typing import Any

import pytest

from benchmarks.history import Report, check

A, B = 101, 102
"""Two worker processes; 1 is the producer."""
Line = dict[str, Any]


def push(task: str, answer: str | None = "ok") -> list[Line]:
    lines: list[Line] = [{"pid": 1, "event": "invoke", "act": "push", "id": task}]
    if answer:
        lines.append({"pid": 1, "event": answer, "act": "push", "id": task, "verdict": "ok"})
    return lines


def start(task: str, tok: int, pid: int = A, gen: int = 1) -> list[Line]:
    event = {"pid": pid, "id": task, "gen": gen, "tok": tok, "session": f"s{pid}"}
    return [{"event": "claim", "act": "claim", **event}, {"event": "start", "act": "start", **event}]


def settle(
    task: str, tok: int, pid: int = A, verdict: str | None = "ok", kind: str = "done", gen: int = 1
) -> list[Line]:
    event = {"pid": pid, "act": "settle", "id": task, "gen": gen, "tok": tok, "kind": kind}
    lines: list[Line] = [{"event": "invoke", **event}]
    if verdict:
        lines.append({"event": "ok", **event, "verdict": verdict})
    return lines


def plain(task: str = "t", tok: int = 5) -> list[Line]:
    return push(task) + start(task, tok) + settle(task, tok)


def rules(report: Report) -> set[str]:
    return {b.rule for b in report.breaches}


def test_a_good_history_is_accepted() -> None:
    crash = push("killed") + start("killed", 10, A) + start("killed", 20, B) + settle("killed", 20, B)
    retry = push("retried") + start("retried", 30) + settle("retried", 30, kind="retry") + start("retried", 31, B)
    retry += settle("retried", 31, B, kind="failed")
    zombie = push("zombie") + start("zombie", 40, A) + start("zombie", 50, B) + settle("zombie", 50, B)
    zombie += settle("zombie", 40, A, verdict="stale")
    repeated = plain("repeated", 60) + settle("repeated", 60, verdict="dup")
    again = [*plain("again", 70), {"pid": 1, "event": "ok", "act": "requeue", "id": "again", "verdict": True}]
    again += start("again", 71, B, gen=2) + settle("again", 71, B, gen=2)
    revoked = [*push("revoked"), {"pid": 1, "event": "ok", "act": "revoke", "id": "revoked", "verdict": "cancelled"}]
    lines = plain() + crash + retry + zombie + repeated + again + revoked + push("unsure", None) + push("full", "fail")
    states = dict.fromkeys(["t", "killed", "zombie", "repeated", "again"], "done") | {
        "retried": "dead",
        "revoked": "cancelled",
    }

    report = check(lines, states)

    assert report.breaches == []
    assert (report.pushed, report.done, report.dead, report.cancelled) == (7, 5, 1, 1)
    assert (report.refused, report.unsure, report.lost) == (1, 1, 0)
    assert (report.starts, report.started_again) == (10, 3)
    assert (report.stale, report.repeats, report.stale_accepted) == (1, 1, 0)


@pytest.mark.parametrize("states", [{}, {"t": "done"}])
def test_a_push_without_an_answer_may_count_either_way(states: dict[str, str]) -> None:
    report = check(push("t", "info"), states)

    assert report.breaches == []
    assert report.pushed == len(states)


def test_an_end_whose_answer_was_lost_is_read_from_the_store() -> None:
    assert check(push("t") + start("t", 5) + settle("t", 5, verdict=None), {"t": "done"}).breaches == []


def test_pending_work_is_fine_where_the_store_was_not_drained() -> None:
    report = check(push("t"), {"t": "ready"}, drained=False)

    assert report.breaches == []
    assert report.pending == 1


def test_purged_tasks_are_not_lost() -> None:
    purge = {"pid": 1, "event": "ok", "act": "purge", "what": "celery", "number": 1}

    report = check([*push("t"), purge], {})

    assert report.breaches == []
    assert report.purged == 1


def test_a_pruned_record_that_had_ended_is_not_lost() -> None:
    assert check(plain(), {}, pruned=True).breaches == []


def test_h1_a_lost_task() -> None:
    report = check(push("t") + start("t", 5), {})

    assert "H1" in rules(report)
    assert report.lost == 1
    assert report.breached("H1")[0].id == "t"


def test_h1_a_task_that_never_ends() -> None:
    assert rules(check(push("t") + start("t", 5), {"t": "running"})) == {"H1"}


def test_h1_an_ended_task_whose_record_is_gone_though_nothing_is_pruned() -> None:
    assert "H1" in rules(check(plain(), {}))


def test_h1_a_cancelled_task_that_ran_on() -> None:
    revoke = {"pid": 1, "event": "ok", "act": "revoke", "id": "t", "verdict": "cancelled"}

    assert "H1" in rules(check([*push("t"), revoke, *start("t", 5), *settle("t", 5)], {"t": "done"}))


def test_h2_two_accepted_ends() -> None:
    lines = push("t") + start("t", 5, A) + settle("t", 5, A) + settle("t", 5, B, kind="failed")

    report = check(lines, {"t": "done"})

    assert rules(report) == {"H2"}
    assert report.stale_accepted == 1


def test_h2_counts_generations_apart() -> None:
    lines = plain() + start("t", 9, gen=2) + settle("t", 9, gen=2)

    assert check(lines, {"t": "done"}).breaches == []


def test_h3_one_token_started_twice() -> None:
    lines = push("t") + start("t", 5, A) + start("t", 5, B) + settle("t", 5, B)

    assert rules(check(lines, {"t": "done"})) == {"H3"}


def test_h3_tokens_that_fall_in_one_process() -> None:
    lines = push("t") + start("t", 9) + settle("t", 9, kind="retry") + start("t", 5) + settle("t", 5)

    assert "H3" in rules(check(lines, {"t": "done"}))


def test_h4_an_old_token_accepted_in_the_order_of_one_process() -> None:
    lines = push("t") + start("t", 5) + start("t", 9) + settle("t", 5, kind="retry") + settle("t", 9)

    report = check(lines, {"t": "done"})

    assert "H4" in rules(report)
    assert report.stale_accepted == 1


def test_h4_an_old_token_ends_what_another_process_holds() -> None:
    lines = push("t") + start("t", 5, A) + start("t", 9, B)[:1] + settle("t", 5, A)

    assert rules(check(lines, {"t": "done"})) == {"H4"}


def test_h5_a_start_under_a_later_token() -> None:
    lines = plain(tok=5) + start("t", 9, B)[1:]

    assert rules(check(lines, {"t": "done"})) == {"H5"}


def test_h5_a_start_after_its_own_end() -> None:
    claim, begin = start("t", 5)

    assert rules(check([*push("t"), claim, *settle("t", 5), begin], {"t": "done"})) == {"H5"}


def test_h6_a_refused_task_in_the_store() -> None:
    assert "H6" in rules(check(push("t", "fail"), {"t": "done"}))


def test_h6_a_task_that_nobody_sent() -> None:
    assert "H6" in rules(check(plain(), {"t": "done", "ghost": "ready"}, drained=False))


def test_h6_a_sum_that_does_not_balance() -> None:
    breach = check(push("t") + plain("u"), {"u": "done"}).breached("H6")

    assert "2 pushed, but 1 done" in breach[-1].why
