"""What is concluded from the third party's log."""

import json

from smallage.demo.evidence import GONE, read, weigh


def line(item, status, task="t", pid="7", attempt=1, open=1):
    return {"at": 0.0, "item": item, "attempt": attempt, "status": status, "open": open, "task": task, "pid": pid}


def test_a_quiet_run():
    found = weigh([line("a", 200), line("b", 503, open=2), line("b", 200)])
    assert found.peak == 2
    assert (found.requests, found.served, found.statuses[503]) == (3, 2, 1)
    assert found.fanned_out_twice == ()
    assert found.fetched_again == 0


def test_two_tasks_for_one_item_are_seen():
    found = weigh([line("a", 200, task="x"), line("a", 200, task="y"), line("b", 200, task="z")])
    assert found.fanned_out_twice == ("a",)


def test_cut_requests_count_for_their_process_and_as_fetched_again_once_served():
    found = weigh(
        [line("a", GONE, pid="7"), line("b", GONE, pid="7"), line("c", GONE, pid="8"), line("a", 200, pid="9")]
    )
    assert dict(found.cut) == {7: 2, 8: 1}
    assert found.fetched_again == 1
    assert found.served == 1


def test_served_before_the_cut_is_not_fetched_again():
    assert weigh([line("a", 200), line("a", GONE)]).fetched_again == 0


def test_a_last_half_line_is_left_out(tmp_path):
    path = tmp_path / "log"
    path.write_text(json.dumps(line("a", 200)) + "\n" + '{"item": "b", "sta')
    assert read(path).requests == 1
