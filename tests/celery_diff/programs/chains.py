# mypy: ignore-errors
"""Chains."""

from celery import chain, group

from tests.celery_diff.lab import ancestry, make_app, note, notes, program, settled, tried, wait_notes

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("chains")


@app.task
def add(x, y):
    return x + y


@app.task
def double(x):
    return x * 2


@app.task
def fail(*args):
    raise ValueError("no", 1)


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@app.task(bind=True)
def who(self, *args):
    request = self.request
    return [request.id, request.parent_id, request.root_id]


@program
def three_steps():
    """Each step gets the value of the one before."""
    return chain(add.s(1, 2), add.s(10), double.s())().get(timeout=8)


@program
def pipe_operator():
    """The same with |."""
    return (add.s(1, 2) | add.s(10) | double.s()).apply_async().get(timeout=8)


@program
def first_args():
    """Arguments of the call go to the first step."""
    return chain(add.s(1), double.s()).apply_async((5,)).get(timeout=8)


@program
def value_goes_first():
    """A step's value comes before the arguments it has."""
    return chain(say.s("a"), say.s("b", "c"))().get(timeout=8)


@program
def immutable_step():
    """An immutable step gets nothing."""
    return chain(add.s(1, 2), say.si("x"), say.s("y"))().get(timeout=8)


@program
def result_parents():
    """The result is the last step's and leads back to the first."""
    result = chain(add.s(1, 2), double.s(), double.s())()
    value = result.get(timeout=8)
    return [value, ancestry(result), [result.parent.get(timeout=5), result.parent.parent.get(timeout=5)]]


@program
def failing_step():
    """A failing first step fails all, and the last one's get raises its error."""
    result = chain(fail.s(), double.s(), say.s())()
    return [tried(result.get, timeout=8), settled(result.parent.parent), settled(result.parent), settled(result)]


@program
def failing_step_in_the_middle():
    """What ran before stays; what comes after does not run."""
    result = chain(say.s("a"), fail.s(), say.s("b"))()
    error = tried(result.get, timeout=8)
    return [error, notes("say"), settled(result.parent.parent)]


@program
def failure_without_propagation():
    """get(propagate=False) on the last step returns the first error."""
    result = chain(fail.s(), double.s())()
    return result.get(timeout=8, propagate=False)


@program
def get_does_not_follow_parents():
    """follow_parents=False looks at the last step alone."""
    result = chain(fail.s(), double.s())()
    return tried(result.get, timeout=8, follow_parents=False)


@program
def empty_chain():
    """A chain without steps gives nothing."""
    return [tried(chain().apply_async), tried(chain([]).apply_async), tried(chain())]


@program
def one_step():
    """A chain of one gives the step's own result."""
    result = chain(add.s(1, 2))()
    return [result.get(timeout=8), result.parent]


@program
def list_of_steps():
    """chain([..]) is chain(..)."""
    return chain([add.s(1, 2), double.s()])().get(timeout=8)


@program
def ids_in_a_chain():
    """Root is the first step's id, parent the one before."""
    result = chain(who.s(), who.s(), who.si())()
    last = result.get(timeout=8)
    ids = ancestry(result)
    return {"ids": ids, "last": last, "middle": result.parent.result, "first": result.parent.parent.result}


@program
def options_go_where():
    """A call's task_id goes to the last step."""
    result = chain(who.s(), who.s()).apply_async(task_id="my-own-id")
    return [result.id, result.get(timeout=8), result.parent.id == result.result[1]]


@program
def chain_of_chains():
    """A chain as a step of a chain is unrolled."""
    inner = chain(double.s(), double.s())
    return chain(add.s(1, 1), inner, add.s(1))().get(timeout=8)


@program
def link_on_a_chain():
    """A link given to the call runs after the last step."""
    result = chain(add.s(1, 2), double.s()).apply_async(link=say.s("linked"))
    return [result.get(timeout=8), wait_notes(1, "say")]


@program
def link_error_on_a_chain():
    """An errback given to the call is called once, wherever the chain breaks."""
    result = chain(add.s(1, 2), fail.s(), double.s()).apply_async(link_error=say.si("broken"))
    return [tried(result.get, timeout=8), wait_notes(1, "say")]


@program
def chain_kept_and_called_twice():
    """One chain object, two calls, two sets of ids."""
    canvas = chain(add.s(1, 2), double.s())
    first, second = canvas.delay(), canvas.delay()
    return [first.get(timeout=8), second.get(timeout=8), first.id == second.id]


@program
def frozen_chain():
    """freeze fixes the id of the last step; the call uses it."""
    canvas = chain(add.s(1, 2), double.s())
    frozen = canvas.freeze()
    result = canvas.apply_async()
    return [frozen.id == result.id, result.get(timeout=8)]


@program
def chain_with_keywords():
    """Keywords of the steps stay with them; keywords of the call go to the first."""
    return chain(add.s(y=5), add.s(y=7)).apply_async(kwargs={"x": 1}).get(timeout=8)


@program
def falsy_values_pass():
    """0, None, an empty list and False are passed on like any value."""
    values = [0, None, [], False, "", {}]
    return [chain(say.s(value) | tail.s())().get(timeout=8) for value in values]


@app.task
def tail(words):
    return ["got", words]


@program
def chain_ending_in_an_empty_group():
    """An empty group at the end is left out."""
    return tried(lambda: chain(add.s(1, 2), group())().get(timeout=4))
