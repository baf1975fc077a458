# mypy: ignore-errors
"""Canvases in canvases."""

from celery import chain, chord, group

from tests.celery_diff.lab import make_app, note, notes, program, settled, stays, tried, wait_notes

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("nesting")


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(total(n) if isinstance(n, list) else n for n in numbers)


@app.task
def ident(x):
    return x


@app.task
def fail(*args):
    raise ValueError("no")


@app.task
def say(*words):
    note("say", *words)
    return list(words)


@program
def group_in_a_chain():
    """A group in the middle of a chain makes a chord."""
    return chain(add.s(1, 1), group(add.s(10), add.s(20)), total.s())().get(timeout=8)


@program
def group_at_the_end_of_a_chain():
    """The result of a chain that ends in a group is a GroupResult."""
    result = chain(add.s(1, 1), group(add.s(10), add.s(20)))()
    return [type(result).__name__, result.get(timeout=8), result.parent.get(timeout=4)]


@program
def two_groups_in_a_row():
    """Each member of the second group gets the list of the first's values."""
    return tried(lambda: chain(group(add.s(1, 1), add.s(2, 2)), group(total.s(), ident.s()))().get(timeout=8))


@program
def group_task_group_task():
    """Two fans, one after the other."""
    canvas = chain(group(add.s(1, 1), add.s(2, 2)), total.s(), group(add.s(10), add.s(20)), total.s())
    return canvas().get(timeout=8)


@program
def chord_in_a_chain():
    """A chord as a step of a chain."""
    return chain(add.s(1, 1), chord([add.s(10), add.s(20)], total.s()), add.s(100))().get(timeout=8)


@program
def chord_in_a_group():
    """A chord as a member of a group."""
    return group(chord([add.s(1, 1), add.s(2, 2)], total.s()), add.s(3, 3))().get(timeout=8)


@program
def chord_in_a_chord():
    """A chord as a member of a chord: its body counts."""
    inner = chord([add.s(1, 1), add.s(2, 2)], total.s())
    return chord([inner, add.s(10, 10)], ident.s())().get(timeout=8)


@program
def chord_in_a_chord_in_a_chord():
    """Three deep."""
    one = chord([add.s(1, 1), add.s(2, 2)], total.s())
    two = chord([one, add.s(10, 10)], total.s())
    return chord([two, add.s(100, 100)], total.s())().get(timeout=10)


@program
def chain_in_a_chord():
    """A chain as a member of a chord: its last step counts."""
    return chord([chain(add.s(1, 1), add.s(10)), add.s(5, 5)], ident.s())().get(timeout=8)


@program
def group_in_a_chord():
    """A group as a member of a chord is flattened."""
    result = chord([add.s(1, 0), group(add.s(2, 0), add.s(3, 0)), add.s(4, 0)], ident.s())()
    return sorted(result.get(timeout=8))


@program
def order_of_a_group_in_a_chord():
    """The values of a group in a chord come where the group stands."""
    result = chord([add.s(1, 0), group(add.s(2, 0), add.s(3, 0)), add.s(4, 0)], ident.s())()
    return result.get(timeout=8)


@program
def chain_ending_in_a_group_in_a_chord():
    """A member that is a chain ending in a group."""
    member = chain(add.s(1, 1), group(add.s(10), add.s(20)))
    return tried(lambda: chord([member, add.s(5, 5)], ident.s())().get(timeout=5))


@program
def group_of_chains_into_a_task():
    """A fan of chains."""
    chains = [chain(add.s(n, 1), add.s(10), add.s(100)) for n in range(4)]
    return chord(chains, ident.s())().get(timeout=8)


@program
def body_that_is_a_chord():
    """A chord as body of a chord."""
    return chord([add.s(1, 1), add.s(2, 2)], chord([total.s(), total.s()], ident.s()))().get(timeout=8)


@program
def chain_of_chords():
    """Chords one after the other."""
    first = chord([add.s(1, 1), add.s(2, 2)], total.s())
    second = chord([add.s(10), add.s(20)], total.s())
    return chain(first, second)().get(timeout=8)


@program
def failure_deep_inside():
    """A member of an inner chord fails: both bodies end as FAILURE."""
    inner = chord([fail.s(), add.s(2, 2)], total.s())
    result = chord([inner, add.s(10, 10)], ident.s())()
    return tried(result.get, timeout=5)


@program
def outer_chord_after_an_inner_failure():
    """The body of the outer chord after the inner chord's failure: does it end?"""
    inner = chord([fail.s(), add.s(2, 2)], total.s())
    result = chord([inner, add.s(10, 10)], ident.s())()
    return settled(result, 4)[0]


@program
def failure_in_a_chain_in_a_chord():
    """A chain in a header breaks in its first step."""
    result = chord([chain(fail.s(), add.s(1)), add.s(1, 1)], ident.s())()
    state, error = settled(result)
    return [state, error["raises"], tried(result.get, timeout=5)]


@program
def failing_step_before_a_group():
    """A chain breaks before its group: the group's members do not run."""
    result = chain(fail.s(), group(say.s(1), say.s(2)), say.s(3))()
    return [tried(result.get, timeout=6), stays(lambda: not notes("say"))]


@program
def step_after_a_failed_chord():
    """The step after a failed chord does not run and fails too."""
    result = chain(group(fail.s(), add.s(1, 1)), total.s(), say.s())()
    state, error = settled(result)
    return [state, error["raises"], stays(lambda: not notes("say"))]


@program
def errback_of_a_chain_with_a_group():
    """link_error of a chain reaches the members of its group."""
    canvas = chain(add.s(1, 1), group(fail.s(), add.s(2)), total.s())
    result = canvas.apply_async(link_error=say.si("broken"))
    tried(result.get, timeout=6)
    return wait_notes(1, "say")[:1]


@program
def values_pass_through_many_steps():
    """Thirty steps."""
    return chain([add.s(0, 0)] + [add.s(1) for _ in range(29)])().get(timeout=12)


@program
def empty_group_in_the_middle():
    """An empty group inside a chain is skipped."""
    return tried(lambda: chain(add.s(1, 1), group(), add.s(5))().get(timeout=4))


@program
def nested_lists_from_groups():
    """Groups of chains ending in groups, as a tree of lists."""
    tree = group(chain(ident.s(n), group(add.s(10), add.s(20))) for n in range(2))
    return tried(lambda: tree().get(timeout=6))


@program
def task_that_returns_a_canvas_result():
    """A task returns the result of a chain it started: stored as a tuple."""
    return returner.delay().get(timeout=8)


@app.task
def returner():
    return chain(add.s(1, 1), add.s(2))()
