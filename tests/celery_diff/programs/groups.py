# mypy: ignore-errors
"""Groups."""

from celery import chain, group
from celery.result import GroupResult

from tests.celery_diff.lab import make_app, note, notes, program, settled, tried, wait_notes, wait_until

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("groups")


@app.task
def add(x, y):
    return x + y


@app.task
def fail(*args):
    raise ValueError("no")


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@app.task(bind=True)
def who(self, *args):
    request = self.request
    return [request.id, request.parent_id, request.root_id, request.group, request.group_index]


@program
def values_in_order():
    """A group's values come in the order of its members."""
    return group(add.s(n, n) for n in range(7))().get(timeout=8)


@program
def signatures_as_arguments():
    """group(a, b) is group([a, b])."""
    return group(add.s(1, 2), add.s(3, 4)).apply_async().get(timeout=8)


@program
def arguments_to_every_member():
    """Arguments of the call go to each mutable member, before its own."""
    return group(say.s("a"), say.si("b"), say.s())("x").get(timeout=8)


@program
def delay_on_a_group():
    """delay gives arguments to each."""
    return group(add.s(1), add.s(2)).delay(10).get(timeout=8)


@program
def first_failure_is_raised():
    """get raises the first failure."""
    return tried(group(add.s(1, 2), fail.s(), add.s(3, 4))().get, timeout=8)


@program
def failures_as_values():
    """propagate=False puts errors beside the values."""
    return group(add.s(1, 2), fail.s(), add.s(3, 4))().get(timeout=8, propagate=False)


@program
def counters_when_done():
    """ready, successful, failed, waiting, completed_count after all has ended."""
    result = group(add.s(1, 2), fail.s(), add.s(3, 4))()
    wait_until(result.ready)
    return [result.ready(), result.successful(), result.failed(), result.waiting(), result.completed_count()]


@program
def counters_of_a_success():
    """The same when all succeed."""
    result = group(add.s(1, 2), add.s(3, 4))()
    result.get(timeout=8)
    return [result.ready(), result.successful(), result.failed(), result.waiting(), result.completed_count()]


@program
def empty_group():
    """A group of nothing is ready and successful."""
    result = group([])()
    return [type(result).__name__, result.ready(), result.successful(), result.get(timeout=3), len(result)]


@program
def group_of_one():
    """One member gives a list of one."""
    return group([add.s(1, 2)])().get(timeout=8)


@program
def ids_of_members():
    """Every member has the group's id, its own index, itself as root and no parent."""
    result = group(who.s(), who.s())()
    return [result.id, [member.id for member in result.results], result.get(timeout=8), result.parent]


@program
def task_id_names_the_group():
    """task_id of the call is the group's id."""
    result = group(who.s(), who.s()).apply_async(task_id="group-name")
    return [result.id, [values[3] for values in result.get(timeout=8)]]


@program
def link_is_refused():
    """A group takes neither link nor link_error in the call."""
    members = group(add.s(1, 1), add.s(2, 2))
    return [
        tried(members.apply_async, link=say.s()),
        tried(members.apply_async, link_error=say.s()),
    ]


@program
def link_method():
    """group.link hangs an immutable link on the first member."""
    members = group(add.s(1, 1), add.s(2, 2))
    members.link(say.s("linked"))
    values = members.apply_async().get(timeout=8)
    return [values, wait_notes(1, "say")]


@program
def link_error_method():
    """group.link_error puts a clone on each member."""
    members = group(fail.s(), fail.s())
    members.link_error(say.si("broken"))
    result = members.apply_async()
    return [result.get(timeout=8, propagate=False), wait_notes(2, "say")]


@program
def nested_groups_are_flattened():
    """A group in a group gives its members in place."""
    result = group(add.s(0, 0), group(add.s(1, 1), add.s(2, 2)), add.s(3, 3))()
    return [len(result.results), tried(result.get, timeout=8)]


@program
def group_of_a_group():
    """A group of only a group."""
    result = group(group(add.s(1, 1), add.s(2, 2)))()
    return [type(result).__name__, len(result), tried(result.get, timeout=8)]


@program
def chain_as_a_member():
    """A chain is one member, its last value is the member's."""
    return group(chain(add.s(1, 1), add.s(10)), add.s(2, 2))().get(timeout=8)


@program
def chain_ending_in_a_group_as_a_member():
    """A chain that ends in a group is one member with a list."""
    result = group(chain(add.s(1, 1), group(add.s(10), add.s(20))), add.s(2, 2))()
    return tried(result.get, timeout=8)


@program
def iterating_a_group_result():
    """Length, index, iteration of a GroupResult."""
    result = group(add.s(n, 0) for n in range(3))()
    return [len(result), result[1].get(timeout=8), [member.get(timeout=8) for member in result]]


@program
def group_called_inside_a_task():
    """A task starts a group; its id is kept and looked up afterwards."""
    group_id, ids = foreman.delay(3).get(timeout=8)
    wait_until(lambda: len(notes("say")) >= 3)
    found = GroupResult.restore(group_id, app=app)
    values = found.get(timeout=8) if found else None
    return [values, len(ids), sorted(notes("say"))]


@app.task
def foreman(count):
    result = group(say.s(n) for n in range(count)).apply_async()
    result.save()
    return [result.id, [member.id for member in result.results]]


@program
def options_of_a_call_to_each():
    """Options of the call go to every member."""
    result = group(headers_of.s(), headers_of.s()).apply_async(headers={"mark": 7})
    return result.get(timeout=8)


@app.task(bind=True)
def headers_of(self):
    return (self.request.headers or {}).get("mark")


@program
def generator_is_read_once():
    """A group made of a generator can be called twice."""
    members = group(add.s(n, 1) for n in range(3))
    return [members().get(timeout=8), members().get(timeout=8)]


@program
def states_of_the_members():
    """State and value of each member."""
    result = group(add.s(1, 1), fail.s())()
    return [settled(member) for member in result.results]
