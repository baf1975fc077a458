# mypy: ignore-errors
"""Chords."""

from celery import chain, chord, group

from tests.celery_diff.lab import ancestry, make_app, note, notes, program, settled, stays, tried, wait_notes

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("chords")


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(*args):
    raise ValueError("no")


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@app.task
def report(request, error, traceback):
    note("report", request.id, request.task, type(error).__name__, traceback is None)


@app.task
def report_id(failed):
    note("report_id", failed)


@app.task(bind=True)
def who(self, *args):
    request = self.request
    return [request.id, request.parent_id, request.root_id, request.group]


@program
def sum_of_a_header():
    """The body gets the header's values."""
    return chord([add.s(n, n) for n in range(5)])(total.s()).get(timeout=8)


@program
def header_and_body_given_at_once():
    """chord(header, body).apply_async()."""
    return chord([add.s(1, 1), add.s(2, 2)], total.s()).apply_async().get(timeout=8)


@program
def order_of_the_header():
    """Values come in the order of the header, not of the ends."""
    return chord([say.s(n) for n in range(12)])(say.s()).get(timeout=8)


@program
def arguments_to_the_header():
    """Arguments of the call go to the header's members."""
    return chord([add.s(1), add.s(2)], total.s()).apply_async((10,)).get(timeout=8)


@program
def body_with_arguments():
    """The list comes before the body's own arguments."""
    return chord([add.s(1, 1)])(say.s("x", "y")).get(timeout=8)


@program
def immutable_body():
    """An immutable body gets nothing."""
    return chord([add.s(1, 1), add.s(2, 2)])(say.si("x")).get(timeout=8)


@program
def empty_header():
    """The body of an empty header runs with an empty list."""
    return tried(lambda: chord([])(total.s()).get(timeout=4))


@program
def header_of_one():
    """A header of one gives a list of one."""
    return chord([add.s(1, 1)], say.s())().get(timeout=8)


@program
def parent_of_the_body():
    """The body's parent is the header's GroupResult."""
    result = chord([add.s(1, 1), add.s(2, 2)])(total.s())
    value = result.get(timeout=8)
    return [value, type(result.parent).__name__, len(result.parent), result.parent.get(timeout=4)]


@program
def ids_of_the_body():
    """Root, parent and group of a chord's members and body."""
    result = chord([who.s(), who.s()])(who.s())
    value = result.get(timeout=8)
    members = [member.get(timeout=4) for member in result.parent.results]
    return {
        "body is the result": value[0] == result.id,
        "parent is a member": value[1] in [member[0] for member in members],
        "root is a member": value[2] in [member[0] for member in members],
        "group of body is header": value[3] == result.parent.id,
        "group of members is header": [member[3] == result.parent.id for member in members],
        "roots of members are their own": [member[2] == member[0] for member in members],
        "parents of members": [member[1] for member in members],
    }


@program
def failing_member():
    """The body ends as FAILURE with a ChordError; get raises the member's own error."""
    result = chord([add.s(1, 1), fail.s()])(total.s())
    error = tried(result.get, timeout=8)
    return [error, settled(result)]


@program
def chord_error_itself():
    """follow_parents=False gives the ChordError."""
    result = chord([fail.s(), add.s(1, 1)])(total.s())
    return tried(result.get, timeout=8, follow_parents=False)


@program
def members_beside_a_failure_run():
    """The header runs to its end though a member fails."""
    result = chord([fail.s(), say.s(1), say.s(2)])(total.s())
    tried(result.get, timeout=8)
    return [sorted(wait_notes(2, "say")), [settled(member)[0] for member in result.parent.results]]


@program
def body_does_not_run_after_failure():
    """The body's function is not called."""
    result = chord([fail.s(), add.s(1, 1)])(say.s("body"))
    tried(result.get, timeout=8)
    return [settled(result)[0], stays(lambda: not notes("say"))]


@program
def errback_of_the_body():
    """An errback with three parameters gets the body's request and the ChordError, and no traceback."""
    body = total.s()
    body.link_error(report.s())
    result = chord([fail.s(), add.s(1, 1)])(body)
    tried(result.get, timeout=8)
    return [result.id, wait_notes(1, "report")]


@program
def errback_by_id():
    """An errback with one parameter gets the body's id."""
    result = chord([fail.s(), add.s(1, 1)], total.s()).apply_async(link_error=report_id.s())
    tried(result.get, timeout=8)
    return [result.id, wait_notes(1, "report_id")]


@program
def errback_once_for_two_failures():
    """Two failing members call the errback once."""
    body = total.s()
    body.link_error(say.si("broken"))
    result = chord([fail.s(), fail.s(), add.s(1, 1)])(body)
    tried(result.get, timeout=8)
    wait_notes(1, "say")
    return stays(lambda: len(notes("say")) == 1)


@program
def link_on_a_chord():
    """A link given to the call is the body's."""
    result = chord([add.s(1, 1)], total.s()).apply_async(link=say.s("linked"))
    return [result.get(timeout=8), wait_notes(1, "say")]


@program
def failing_body():
    """An error in the body is the body's own."""
    result = chord([add.s(1, 1)])(fail.s())
    return [tried(result.get, timeout=8), settled(result)]


@program
def body_that_is_a_chain():
    """A chain as body; the result is its last step's."""
    result = chord([add.s(1, 1), add.s(2, 2)])(chain(total.s(), add.s(100)))
    return [result.get(timeout=8), len(ancestry(result))]


@program
def body_that_is_a_group():
    """A group as body: each member gets the list."""
    result = chord([add.s(1, 1), add.s(2, 2)])(group(total.s(), say.s("x")))
    return tried(result.get, timeout=8)


@program
def failed_member_fails_a_group_body():
    """Every member of a group body fails when the header does."""
    result = chord([fail.s(), add.s(2, 2)])(group(total.s(), say.s("x")))
    tried(result.get, timeout=5)
    return [settled(member, 3) for member in result.results]


@program
def task_id_is_the_bodys():
    """task_id of the call names the body."""
    result = chord([add.s(1, 1)], total.s()).apply_async(task_id="the-body")
    return [result.id, result.get(timeout=8)]


@program
def header_that_is_a_group():
    """chord(group) is chord(list)."""
    return chord(group(add.s(1, 1), add.s(2, 2)), total.s())().get(timeout=8)


@program
def group_piped_into_a_task():
    """group | task is a chord."""
    return (group(add.s(1, 1), add.s(2, 2)) | total.s())().get(timeout=8)


@program
def chord_of_many():
    """A hundred members."""
    return chord([add.s(n, 0) for n in range(100)])(total.s()).get(timeout=12)


@program
def retried_member():
    """A member that retries is counted when it ends."""
    return chord([stubborn.s(), add.s(1, 1)])(total.s()).get(timeout=10)


@app.task(bind=True, max_retries=5)
def stubborn(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.3)
    return self.request.retries


@program
def chord_started_inside_a_task():
    """A task starts a chord and ends; the body's root is the task."""
    started = starter.delay()
    body = app.AsyncResult(started.get(timeout=8))
    value = body.get(timeout=8)
    return [started.id == value[2], value[0] == body.id]


@app.task
def starter():
    return chord([add.s(1, 1), add.s(2, 2)])(who.s()).id
