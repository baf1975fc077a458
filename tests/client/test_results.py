"""Handles of results: reading, waiting, exceptions as data."""

from __future__ import annotations

import builtins
import sys
import threading
import types

import pytest

from smallage import Smallage
from smallage.core import codec, errors
from smallage.core.errors import RemoteError, TaskRevokedError, TimeoutError
from smallage.core.message import Failed
from smallage.result import AsyncResult, allow_join_result, restored


@pytest.fixture
def add(bench):
    @bench.app.task
    def add(a, b):
        return a + b

    return add


def test_an_unknown_id_is_pending(bench):
    result = bench.app.AsyncResult("never-sent")
    assert (result.state, result.result, result.traceback, result.ready()) == ("PENDING", None, None, False)
    assert not result.exists()
    assert result.name is result.queue is result.retries is result.date_done is None


def test_ids_make_handles_equal(bench):
    one, two = bench.app.AsyncResult("a"), bench.app.AsyncResult("a")
    assert one == two == "a"
    assert len({one, two}) == 1
    assert one != bench.app.AsyncResult("b")
    assert str(one) == "a"
    assert repr(one) == "<AsyncResult: a>"
    assert one.as_tuple() == (("a", None), None)
    assert AsyncResult("b", bench.app, parent=one).as_list() == ["b", "a"]
    with pytest.raises(ValueError):
        AsyncResult("")


def test_a_handle_made_from_an_id_reads_the_same(bench, add):
    first = add.delay(1, 2)
    bench.run()
    again = bench.app.AsyncResult(first.id)
    assert again.get() == 3
    assert (again.name, again.queue, again.retries) == (add.name, "celery", 0)
    assert again.date_done is not None
    assert again.successful()
    assert not again.failed()


def test_waiting_is_woken_by_the_store(bench, add):
    """The wait ends by the store's notice: the test's only act is to run the worker."""
    result = add.delay(1, 2)
    waiting = threading.Event()
    add_waiter = bench.app.hub.add

    def seen(name, notify):
        add_waiter(name, notify)
        waiting.set()

    bench.app.hub.add = seen
    values = []
    thread = threading.Thread(target=lambda: values.append(result.get(timeout=30)))
    thread.start()
    assert waiting.wait(30)
    bench.run()
    thread.join(30)
    assert values == [3]


def test_waiting_has_an_end(bench, add):
    result = add.delay(1, 2)
    with pytest.raises(TimeoutError, match="it goes on") as refusal:
        result.get(timeout=0)
    assert isinstance(refusal.value, builtins.TimeoutError)
    bench.run()
    assert result.get(timeout=0) == 3


def test_many_threads_wait_at_once(bench, add):
    results = [add.delay(n, 1) for n in range(20)]
    values: dict[int, int] = {}
    threads = [threading.Thread(target=lambda n=n: values.update({n: results[n].get(timeout=30)})) for n in range(20)]
    for thread in threads:
        thread.start()
    bench.run()
    for thread in threads:
        thread.join(30)
    assert values == {n: n + 1 for n in range(20)}


def test_failures_are_raised_or_returned(bench):
    @bench.app.task
    def fail():
        raise KeyError("x")

    result = fail.delay()
    bench.run()
    with pytest.raises(KeyError, match="x") as raised:
        result.get()
    assert "Remote traceback" in raised.value.__notes__[0]
    assert isinstance(result.get(propagate=False), KeyError)
    assert isinstance(result.result, KeyError)
    assert "KeyError: 'x'" in result.traceback
    assert result.failed()
    assert result.ready()


def test_a_callback_gets_the_value(bench, add):
    result = add.delay(1, 2)
    bench.run()
    got = []
    result.get(callback=lambda task_id, value: got.append((task_id, value)))
    assert got == [(result.id, 3)]


def test_revoking(bench, add):
    result = add.delay(1, 2)
    result.revoke(wait=True)
    assert result.state == "REVOKED"
    assert bench.run() == []
    with pytest.raises(TaskRevokedError, match="revoked"):
        result.get()


def test_revoking_what_runs(bench, add):
    result = add.delay(1, 2)
    (claim,) = bench.claim()
    result.revoke()
    assert (result.state, result.info) == ("PENDING", None)  # it says no more unless `track_started` is on
    result.revoke(terminate=True)
    assert result.state == "REVOKED"
    assert bench.settle(claim, bench.execute(claim)) == "stale"
    assert result.state == "REVOKED"


def test_running_a_failed_task_again(bench):
    broken = [True]

    @bench.app.task(max_retries=0)
    def work():
        if broken:
            raise ValueError(broken.pop())
        return "well"

    result = work.delay()
    assert not result.retry()  # it has not ended
    bench.run()
    assert result.failed()
    assert result.retry()
    assert result.state == "PENDING"
    bench.run()
    assert result.get() == "well"
    assert not result.retry()


def test_what_ran_eagerly_is_not_run_again(bench, add):
    assert add.apply((1, 2)).retry() is False


def test_forgetting(bench, add):
    result = add.delay(1, 2)
    bench.run()
    assert result.get() == 3
    result.forget()
    assert result.state == "PENDING"


def test_an_ended_result_is_read_once(bench, add):
    result = add.delay(1, 2)
    bench.run()
    assert result.get() == 3
    bench.store.forget([result.id])
    assert result.get() == 3


def test_never_wait_inside_a_task(bench, add):
    @bench.app.task
    def outer(how):
        inner = add.delay(1, 2)
        if how == "plain":
            return inner.get(timeout=0)
        if how == "within":
            with allow_join_result():
                return inner.get(timeout=0)
        return inner.get(timeout=0, disable_sync_subtasks=False)

    plain, within, flagged = outer.delay("plain"), outer.delay("within"), outer.delay("flag")
    for _ in range(3):
        bench.step()
    with pytest.raises(RuntimeError, match="Never call result"):
        plain.get()
    assert isinstance(within.get(propagate=False), TimeoutError)
    assert isinstance(flagged.get(propagate=False), TimeoutError)


def test_ignored_ends(bench):
    @bench.app.task(bind=True)
    def skip(self, own):
        if own:
            self.update_state(state="SKIPPED", meta={"n": 1})
        raise errors.Ignore

    plain, own = skip.delay(False), skip.delay(True)
    bench.run()
    assert (plain.state, plain.get(), plain.ready()) == ("IGNORED", None, True)
    assert (own.state, own.info, own.ready()) == ("SKIPPED", {"n": 1}, True)


def test_results_expire(bench, add):
    bench.app.conf.result_expires = 60
    result = add.delay(1, 2)
    bench.run()
    assert bench.app.AsyncResult(result.id).state == "SUCCESS"
    bench.later(62)
    bench.later(62)
    assert bench.app.AsyncResult(result.id).state == "PENDING"


def test_spent_budgets_are_worker_lost_errors(bench):
    @bench.app.task(max_crashes=0)
    def die():
        raise SystemExit(3)

    result = die.delay()
    bench.run()
    assert result.state == "FAILURE"
    with pytest.raises(errors.WorkerLostError, match="SystemExit"):
        result.get()


# -- exceptions as data -------------------------------------------------------------------------------------------
class Strict(Exception):
    """A constructor that must not be called on the way back."""

    def __new__(cls, *args):
        raise AssertionError("__new__ of a user's class was called")

    def __init__(self, *args):
        raise AssertionError("the constructor was called")


def crafted(module, kind, args=("x",)):
    return codec.encode_value([module, kind, list(args), "message", None])


def test_constructors_are_never_called():
    error, _ = restored(crafted(__name__, "Strict", ("a", 1)))
    assert type(error) is Strict
    assert error.args == ("a", 1)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "SystemExit"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "int"),
        ("builtins", "Exception.__subclasses__"),
        ("builtins", ""),
        ("", ""),
        ("sys", "modules"),
        ("smallage.core.errors", "RemoteError"),
        ("smallage.run", "Terminated"),
        ("this.module.is.not.loaded", "Error"),
        ("antigravity", "Error"),
    ],
)
def test_only_loaded_exception_classes_come_back(module, kind):
    before = set(sys.modules)
    error, _ = restored(crafted(module, kind))
    assert type(error) is RemoteError
    assert error.message == "message"
    assert set(sys.modules) == before


def test_nested_and_builtin_classes(monkeypatch):
    module = types.ModuleType("shop_errors")

    class Outer:
        class Inner(Exception):
            pass

    vars(module)["Outer"] = Outer
    monkeypatch.setitem(sys.modules, "shop_errors", module)
    assert type(restored(crafted("shop_errors", "Outer.Inner"))[0]) is Outer.Inner
    assert restored(crafted("builtins", "FileNotFoundError", (2, "gone")))[0].args == (2, "gone")
    assert type(restored(crafted("builtins", "UnicodeDecodeError", ("utf-8",)))[0]) is UnicodeDecodeError


def test_a_remote_error_says_what_it_was(bench):
    class Local(Exception):
        pass

    @bench.app.task
    def fail():
        raise Local("lost")

    result = fail.delay()
    bench.run()
    with pytest.raises(RemoteError, match=r"Local: lost") as raised:
        result.get()
    assert "Traceback" in str(raised.value.remote_traceback)


@pytest.mark.parametrize("data", [b"\xc1", b"\x90", codec.encode_value([1, 2, 3, 4, 5]), codec.encode_value("x")])
def test_errors_that_cannot_be_read(bench, add, data):
    result = add.delay(1, 2)
    (claim,) = bench.claim()
    bench.settle(claim, Failed(data))
    with pytest.raises(RemoteError, match="cannot be read"):
        result.get()


def test_a_lone_handle_belongs_to_the_current_app(bench, monkeypatch):
    monkeypatch.setattr("smallage.app.current._current", bench.app)
    assert AsyncResult("x").state == "PENDING"
    other = Smallage("other", broker="memory://")
    assert AsyncResult("x").app is other
    other.close()


# -- exceptions keep what they say --------------------------------------------------------------------------------
class DiskError(OSError):
    def __init__(self, disk):
        super().__init__(5, f"disk {disk} is gone")
        self.disk = disk


def travelled(error):
    return restored(codec.encode_error(error))[0]


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (FileNotFoundError(2, "No such file", "a.txt"), ("errno", "strerror", "filename")),
        (OSError(18, "Cross-device link", "a", None, "b"), ("errno", "filename", "filename2")),
        (PermissionError("just text"), ("errno",)),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), ("encoding", "object", "start", "reason")),
        (StopIteration(5), ("value",)),
        (DiskError(3), ("errno", "strerror")),
        (errors.Reject("no good", requeue=True), ("reason", "requeue")),
        (errors.Retry("again", when=5), ("message", "when", "exc", "excs", "sig")),
        (errors.Retry(exc=KeyError("x"), when=5), ("when", "excs")),
        (KeyError("x"), ()),
        (RuntimeError(), ()),
    ],
)
def test_an_exception_says_afterwards_what_it_said_before(error, attributes):
    made = travelled(error)
    assert type(made) is type(error)
    assert str(made) == str(error)
    for name in attributes:
        assert getattr(made, name) == getattr(error, name), name


def test_attributes_that_cannot_travel_are_texts():
    made = travelled(errors.Reject((object(),)))
    assert made.reason.startswith("(<object")


def test_arguments_do_not_travel_with_an_error():
    made = travelled(errors.MaxRetriesExceededError("no more", task_args=(1,), task_kwargs={"a": 2}))
    assert (str(made), made.task_args, made.task_kwargs) == ("no more", (), {})


class Wordy(Exception):
    """As SQLAlchemy's errors: what it says is made of what its constructor set."""

    def __init__(self, statement: str) -> None:
        super().__init__(statement)
        self.statement = statement

    def __str__(self) -> str:
        return f"in {self.statement}"


def test_an_error_that_cannot_say_itself_without_its_constructor_says_what_it_said() -> None:
    error, _ = restored(codec.encode_error(Wordy("SELECT 1")))
    assert isinstance(error, Wordy)
    assert (str(error), type(error).__name__) == ("in SELECT 1", "Wordy")
