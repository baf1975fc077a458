# mypy: ignore-errors
"""Links and errbacks."""

from celery import chain, chord, group

from tests.celery_diff.lab import make_app, note, notes, program, settled, stays, tried, wait_notes, wait_until

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("links")


@app.task
def add(x, y):
    return x + y


@app.task
def fail(*args):
    raise ValueError("no", 2)


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@app.task
def one(failed):
    note("one", failed)


@app.task
def three(request, error, traceback):
    note("three", request.id, request.task, list(request.args), dict(request.kwargs), error, type(traceback).__name__)


@app.task
def stored(request, error, traceback, *more):
    note("stored", type(error).__name__, *more)


@app.task(bind=True)
def bound(self, *words):
    note("bound", self.request.parent_id, *words)


@app.task
def broken_errback(request, error, traceback):
    note("broken")
    raise KeyError("errback")


@program
def one_link():
    """A link gets the value, before its own arguments."""
    result = add.apply_async((1, 2), link=say.s("x"))
    return [result.get(timeout=8), wait_notes(1, "say")]


@program
def two_links():
    """A list of links: all run."""
    add.apply_async((1, 2), link=[say.s("x"), say.s("y")])
    return sorted(wait_notes(2, "say"))


@program
def immutable_link():
    """An immutable link gets nothing."""
    add.apply_async((1, 2), link=say.si("x"))
    return wait_notes(1, "say")


@program
def link_of_a_link():
    """Links have links."""
    inner = add.s(10)
    inner.link(say.s("inner"))
    add.apply_async((1, 2), link=inner)
    return wait_notes(1, "say")


@program
def no_link_after_failure():
    """A failed task calls no links."""
    result = fail.apply_async(link=say.s("x"))
    settled(result)
    return stays(lambda: not notes("say"))


@program
def link_on_a_signature():
    """sig.link, then the call."""
    sig = add.s(1, 2)
    sig.link(say.s("x"))
    sig.delay()
    return wait_notes(1, "say")


@program
def children_are_the_links():
    """The results of links are the children of the task."""
    result = add.apply_async((1, 2), link=add.s(10))
    result.get(timeout=8)
    children = result.children
    return [len(children), children[0].get(timeout=8)]


@program
def link_that_is_a_group():
    """A link may be a group."""
    result = add.apply_async((1, 2), link=group(say.s("x"), say.s("y")))
    result.get(timeout=8)
    return [sorted(wait_notes(2, "say")), [type(child).__name__ for child in result.children]]


@program
def link_that_is_a_chain():
    """A link may be a chain."""
    add.apply_async((1, 2), link=chain(add.s(10), say.s("end")))
    return wait_notes(1, "say")


@program
def link_that_is_a_chord():
    """A link may be a chord: its header gets the value."""
    add.apply_async((1, 2), link=chord([add.s(10), add.s(20)], say.s("end")))
    return wait_notes(1, "say")


@program
def errback_with_one_parameter():
    """An errback of one parameter is sent as a task with the failed id."""
    result = fail.apply_async(link_error=one.s())
    settled(result)
    return [result.id, wait_notes(1, "one")]


@program
def errback_with_three_parameters():
    """An errback of three gets request, error and traceback."""
    result = fail.apply_async((7,), {}, link_error=three.s())
    settled(result)
    return [result.id, wait_notes(1, "three")]


@program
def errback_with_stored_arguments():
    """Stored arguments come after the three."""
    settled(fail.apply_async(link_error=stored.s("x", "y")))
    return wait_notes(1, "stored")


@program
def immutable_errback():
    """An immutable errback gets no arguments but its own."""
    settled(fail.apply_async(link_error=say.si("x")))
    return wait_notes(1, "say")


@program
def bound_errback():
    """A bound errback is sent as a task; its parent is the failed one."""
    result = fail.apply_async(link_error=bound.s("x"))
    settled(result)
    return [result.id, wait_notes(1, "bound")]


@program
def several_errbacks():
    """Several errbacks of both kinds."""
    settled(fail.apply_async(link_error=[stored.s("x"), one.s()]))
    wait_notes(2)
    return sorted(note[0] for note in notes())


@program
def errback_that_fails():
    """An errback's own error changes nothing."""
    result = fail.apply_async(link_error=broken_errback.s())
    state = settled(result)
    return [state, wait_notes(1, "broken")]


@program
def no_errback_after_success():
    """A success calls no errback."""
    add.apply_async((1, 2), link_error=say.si("x")).get(timeout=8)
    return stays(lambda: not notes("say"))


@program
def on_error_in_a_canvas():
    """sig.on_error(..) of the failing step in a chain."""
    result = chain(add.s(1, 2), fail.s().on_error(say.si("broken")), add.s(3))()
    tried(result.get, timeout=8)
    return wait_notes(1, "say")


@program
def errback_that_is_a_chain():
    """An errback may be a chain."""
    settled(fail.apply_async(link_error=chain(say.si("a"), say.si("b"))))
    return wait_notes(2, "say")


@program
def errback_that_is_a_group():
    """An errback may be a group."""
    settled(fail.apply_async(link_error=group(say.si("a"), say.si("b"))))
    return sorted(wait_notes(2, "say"))


@program
def retries_call_no_errback():
    """Errbacks wait for the last try."""
    result = stubborn.apply_async(link_error=say.si("broken"))
    wait_until(result.ready)
    wait_notes(1, "say")
    return [settled(result), stays(lambda: len(notes("say")) == 1)]


@app.task(bind=True, max_retries=2)
def stubborn(self):
    raise self.retry(exc=ValueError("never"), countdown=0.3)


@program
def links_after_a_retry():
    """Links wait for the end of a retried task."""
    sometimes.apply_async((2,), link=say.s("x"))
    return wait_notes(1, "say")


@app.task(bind=True)
def sometimes(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0.3)
    return self.request.retries


@program
def errback_of_an_unknown_name():
    """An errback that is not registered where the client sends from, by name of a real task."""
    from celery import signature

    settled(fail.apply_async(link_error=signature(say.name, immutable=True, args=("named",))))
    return wait_notes(1, "say")
