# mypy: ignore-errors
"""AsyncResult, GroupResult, ResultSet, EagerResult."""

from celery import chain, group
from celery.exceptions import IncompleteStream, TimeoutError
from celery.result import (
    AsyncResult,
    EagerResult,
    GroupResult,
    ResultSet,
    allow_join_result,
    result_from_tuple,
)

from tests.celery_diff.lab import kind, make_app, plain, program, settled, shown, tried, wait_until

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("results")


@app.task
def add(x, y):
    return x + y


@app.task
def fail(*args):
    raise ValueError("no")


@program
def identity():
    """Equality, hash, text."""
    one, other = AsyncResult("a", app=app), AsyncResult("a", app=app)
    return [one == other, one == "a", one == AsyncResult("b", app=app), len({one, other}), str(one), repr(one)]


@program
def no_id():
    """AsyncResult needs an id."""
    return kind(AsyncResult, None)


@program
def get_twice():
    """A ready result is kept in the object."""
    result = add.delay(1, 2)
    first = result.get(timeout=8)
    app.AsyncResult(result.id).forget()
    return [first, result.get(timeout=3), result.state]


@program
def forget():
    """After forget others see PENDING."""
    result = add.delay(1, 2)
    result.get(timeout=8)
    result.forget()
    return app.AsyncResult(result.id).state


@program
def timeout():
    """get(timeout) raises TimeoutError; the task goes on."""
    result = add.apply_async((1, 2), countdown=1.5)
    error = kind(result.get, timeout=0.2)
    return [error, issubclass(TimeoutError, Exception), result.get(timeout=8)]


@program
def propagate():
    """propagate=False returns the error."""
    return shown(fail.delay().get(timeout=8, propagate=False))


@program
def callback_of_get():
    """get(callback=) is called with id and value."""
    seen = []
    result = add.delay(1, 2)
    value = result.get(timeout=8, callback=lambda task_id, value: seen.append([task_id == result.id, value]))
    return [value, seen]


@program
def get_inside_a_task():
    """get within a task raises RuntimeError."""
    return tried(waits_inside.delay().get, timeout=8)


@app.task
def waits_inside():
    return add.delay(1, 2).get(timeout=5)


@program
def get_inside_a_task_allowed():
    """allow_join_result and disable_sync_subtasks=False let it wait."""
    return waits_allowed.delay().get(timeout=10)


@app.task
def waits_allowed():
    with allow_join_result():
        first = add.delay(1, 2).get(timeout=5)
    return [first, add.delay(3, 4).get(timeout=5, disable_sync_subtasks=False)]


@program
def as_tuple_of_a_chain():
    """as_tuple and back."""
    result = chain(add.s(1, 2), add.s(3))()
    result.get(timeout=8)
    back = result_from_tuple(result.as_tuple(), app=app)
    return [plain(result.as_tuple()), back == result, back.parent == result.parent, plain(result.as_list())]


@program
def as_tuple_of_a_group():
    """The same of a group."""
    result = group(add.s(1, 2), add.s(3, 4))()
    back = result_from_tuple(result.as_tuple(), app=app)
    return [plain(result.as_tuple()), type(back).__name__, back.get(timeout=8)]


@program
def save_and_restore():
    """A saved group is restored by its id."""
    result = group(add.s(1, 2), add.s(3, 4))()
    result.save()
    back = GroupResult.restore(result.id, app=app)
    return [back.id == result.id, back.get(timeout=8), [one.id for one in back] == [one.id for one in result]]


@program
def delete_a_saved_group():
    """After delete it is unknown."""
    result = group(add.s(1, 2))()
    result.save()
    result.get(timeout=8)
    result.delete()
    return GroupResult.restore(result.id, app=app)


@program
def restore_without_save():
    """A group that was not saved."""
    result = group(add.s(1, 2), add.s(3, 4))()
    result.get(timeout=8)
    back = GroupResult.restore(result.id, app=app)
    return None if back is None else back.get(timeout=5)


@program
def restore_unknown():
    """An unknown group id."""
    return GroupResult.restore("no-such-group", app=app)


@program
def result_set():
    """A set of results from anywhere."""
    results = ResultSet([add.delay(1, 1), add.delay(2, 2)])
    results.add(add.delay(3, 3))
    values = results.join(timeout=8)
    return [values, len(results), results.completed_count(), results.ready(), results.successful()]


@program
def editing_a_result_set():
    """add, remove, discard, update, clear."""
    one, two = AsyncResult("1", app=app), AsyncResult("2", app=app)
    results = ResultSet([], app=app)
    results.add(one)
    results.add(one)
    results.update([one, two])
    size = len(results)
    results.remove("1")
    missing = kind(results.remove, "1")
    results.discard("nothing")
    left = len(results)
    results.clear()
    return [size, missing, left, len(results)]


@program
def join_raises():
    """join raises the first failure."""
    return tried(ResultSet([add.delay(1, 1), fail.delay()]).join, timeout=8)


@program
def join_with_callback():
    """With a callback join returns an empty list; the callback sees each."""
    seen = {}
    results = group(add.s(1, 1), add.s(2, 2))()
    value = results.join(timeout=8, callback=lambda task_id, value: seen.update({task_id: value}))
    return [value, [seen[one.id] for one in results]]


@program
def get_of_a_group_with_callback():
    """The same through get."""
    seen = []
    results = group(add.s(1, 1), add.s(2, 2))()
    value = results.get(timeout=8, callback=lambda task_id, value: seen.append(value))
    return [value, sorted(seen)]


@program
def iter_native():
    """Ids and metas as they finish."""
    results = group(add.s(1, 1), add.s(2, 2))()
    found = {str(task_id): meta for task_id, meta in results.iter_native(timeout=8)}
    return [[found[one.id]["status"], found[one.id]["result"]] for one in results]


@program
def join_native():
    """Values in order."""
    return group(add.s(n, n) for n in range(4))().join_native(timeout=8)


@program
def collect():
    """collect goes through the tree of results."""
    result = tree.delay(3)
    result.get(timeout=8)
    wait_until(lambda: kind(lambda: list(result.collect()) and True) is True)
    return [value for _, value in result.collect()]


@app.task
def tree(depth):
    if depth:
        tree.delay(depth - 1)
    return depth


@program
def iterdeps_incomplete():
    """A node that is not ready: IncompleteStream, unless intermediate."""
    result = sends_late.delay()
    result.get(timeout=8)
    return [kind(lambda: list(result.iterdeps())), len(list(result.iterdeps(intermediate=True)))]


@program
def collect_waits():
    """collect waits for what is not ready yet."""
    result = sends_late.delay()
    result.get(timeout=8)
    return [[value for _, value in result.collect()], issubclass(IncompleteStream, Exception)]


@app.task
def sends_late():
    add.apply_async((1, 2), countdown=2)
    return "parent"


@program
def get_leaf():
    """get_leaf is the deepest value."""
    result = tree.delay(2)
    result.get(timeout=8)
    wait_until(lambda: kind(result.get_leaf) == 0)
    return result.get_leaf()


@program
def iterdeps():
    """Pairs of parent and child."""
    result = tree.delay(1)
    result.get(timeout=8)
    wait_until(lambda: result.children and result.children[0].ready())
    return [[up.id if up else None, down.id] for up, down in result.iterdeps()]


@program
def maybe_throw():
    """maybe_throw raises a failure, returns a value."""
    good, bad = add.delay(1, 2), fail.delay()
    wait_until(lambda: good.ready() and bad.ready())
    return [good.maybe_throw(), tried(bad.maybe_throw), shown(bad.maybe_throw(propagate=False))]


@program
def then_callback():
    """then(callback) is called with the result when it is got."""
    seen = []
    result = add.delay(1, 2)
    result.then(lambda one: seen.append(one.id == result.id))
    result.get(timeout=8)
    wait_until(lambda: seen, 2)
    return seen


@program
def date_done():
    """date_done is there when ready."""
    result = add.delay(1, 2)
    result.get(timeout=8)
    return [type(result.date_done).__name__, type(app.AsyncResult("nothing").date_done).__name__]


@program
def extended_fields():
    """result_extended stores name, arguments, worker, retries and queue."""
    app.conf.result_extended = True
    result = extended.delay(1, key="v")
    result.get(timeout=8)
    return [result.name, result.args, result.kwargs, result.retries, result.queue]


@app.task
def extended(*args, **kwargs):
    app.conf.result_extended = True
    extended_again.delay()


@app.task
def extended_again():
    pass


@program
def children_of_a_leaf():
    """A task that sent nothing."""
    result = add.delay(1, 2)
    result.get(timeout=8)
    return [result.children, result.parent]


@program
def group_result_flags():
    """Indexing, length, children and parent of a GroupResult."""
    result = chain(add.s(1, 1), group(add.s(1), add.s(2)))()
    result.get(timeout=8)
    return [len(result), result[0].result, result.children == result.results, result.parent.result, bool(result)]


@program
def equality_of_groups():
    """Group results are equal by id and members."""
    result = group(add.s(1, 2))()
    return [result == GroupResult(result.id, result.results, app=app), result == GroupResult("other", [], app=app)]


@program
def eager_result():
    """An EagerResult made by hand."""
    good = EagerResult("id", 5, "SUCCESS")
    bad = EagerResult("id", ValueError("x"), "FAILURE", traceback="text")
    return [
        [good.get(), good.state, good.ready(), good.successful(), good.id],
        [tried(bad.get), bad.state, bad.failed(), shown(bad.get(propagate=False)), bad.traceback],
    ]


@program
def eager_revoke():
    """revoke makes it REVOKED."""
    result = EagerResult("id", 5, "SUCCESS")
    result.revoke()
    return result.state


@program
def forget_a_group():
    """forget of a group forgets its members."""
    result = group(add.s(1, 2), add.s(3, 4))()
    result.get(timeout=8)
    result.forget()
    return [app.AsyncResult(one.id).state for one in result]


@program
def backend_reads():
    """app.backend's readers."""
    result = add.delay(1, 2)
    result.get(timeout=8)
    backend = app.backend
    return [
        backend.get_state(result.id),
        backend.get_result(result.id),
        backend.get_traceback(result.id),
        sorted(set(backend.get_task_meta(result.id)) & {"status", "result", "task_id", "date_done", "traceback"}),
    ]


@program
def backend_store_result():
    """app.backend.store_result."""
    app.backend.store_result("stored-by-hand", {"a": 1}, "SUCCESS")
    return settled(app.AsyncResult("stored-by-hand"))


@program
def exists_and_ignored():
    """ignored of a result that is kept."""
    result = add.delay(1, 2)
    result.get(timeout=8)
    return result.ignored
