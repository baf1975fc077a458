# mypy: ignore-errors
"""map, starmap, chunks; replace and add_to_chord."""

from celery import chain, chord, group

from tests.celery_diff.lab import kind, make_app, note, notes, program, settled, stays, tried, wait_notes

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("replacing")


@app.task
def add(x, y):
    return x + y


@app.task
def double(x):
    return x * 2


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


@app.task(bind=True)
def ids(self, *args):
    request = self.request
    return [request.id, request.root_id, request.parent_id, request.replaced_task_nesting]


@app.task(bind=True)
def by_task(self, *args):
    raise self.replace(add.s(*args, 100) if args else add.s(1, 2))


@app.task(bind=True)
def by_chain(self, x):
    raise self.replace(chain(double.s(x), double.s()))


@app.task(bind=True)
def by_group(self, x):
    raise self.replace(group(add.s(x, n) for n in range(3)))


@app.task(bind=True)
def by_chord(self, x):
    raise self.replace(chord([add.s(x, n) for n in range(3)], total.s()))


@app.task(bind=True)
def by_failure(self):
    raise self.replace(fail.s())


@app.task(bind=True)
def by_ids(self, *args):
    raise self.replace(ids.si())


@app.task(bind=True)
def twice(self, depth):
    if depth:
        raise self.replace(twice.s(depth - 1))
    return self.request.replaced_task_nesting


@app.task(bind=True)
def by_nothing(self):
    raise self.replace(chain())


@program
def map_of_a_task():
    """map calls the task once an item, in one task."""
    return double.map([1, 2, 3]).apply_async().get(timeout=8)


@program
def starmap_of_a_task():
    """starmap unpacks each item."""
    return add.starmap([(1, 2), (3, 4)]).apply_async().get(timeout=8)


@program
def chunks_of_a_task():
    """chunks give a list of lists."""
    return add.chunks([(n, n) for n in range(5)], 2).apply_async().get(timeout=8)


@program
def chunks_called():
    """chunks()() and chunks().group()."""
    work = add.chunks([(n, n) for n in range(4)], 2)
    return [work().get(timeout=8), work.group().apply_async().get(timeout=8)]


@program
def map_in_a_chain():
    """A map as a step; it is immutable."""
    return chain(double.map([1, 2]), total.s())().get(timeout=8)


@program
def map_that_fails():
    """The error of one item is the map's."""
    return tried(fail.map([1, 2]).apply_async().get, timeout=8)


@program
def replaced_by_a_task():
    """The replacement's value is the task's, under the same id."""
    result = by_task.delay()
    return [result.get(timeout=8), settled(app.AsyncResult(result.id))]


@program
def replaced_by_a_chain():
    """A chain in its place."""
    return by_chain.delay(5).get(timeout=8)


@program
def replaced_by_a_group():
    """A group in its place: the list is the value."""
    return tried(by_group.delay(5).get, timeout=8)


@program
def replaced_by_a_chord():
    """A chord in its place."""
    return by_chord.delay(5).get(timeout=8)


@program
def replaced_in_a_chain():
    """What follows waits for the replacement."""
    return chain(add.s(1, 1), by_chain.s(), add.s(1000))().get(timeout=8)


@program
def replaced_by_a_group_in_a_chain():
    """The next step gets the list."""
    return tried(lambda: chain(add.s(1, 1), by_group.s(), total.s())().get(timeout=8))


@program
def replaced_in_a_chord():
    """A member of a chord is replaced: the replacement's end counts."""
    return chord([by_chain.s(1), add.s(1, 1), by_chord.s(2)], total.s())().get(timeout=8)


@program
def replaced_keeps_links():
    """Links and errbacks go over to the replacement."""
    by_task.apply_async(link=say.s("linked")).get(timeout=8)
    first = wait_notes(1, "say")
    by_failure.apply_async(link_error=say.si("broken"))
    return [first, wait_notes(2, "say")]


@program
def ids_of_the_replacement():
    """Id and root are the replaced task's; the nesting counts."""
    result = by_ids.delay()
    return [result.id, result.get(timeout=8)]


@program
def replaced_three_times():
    """replaced_task_nesting counts each."""
    return twice.delay(3).get(timeout=8)


@program
def replacement_fails():
    """The replacement's failure is the task's."""
    return settled(by_failure.delay())


@program
def replaced_by_an_empty_chain():
    """An empty chain is no replacement."""
    return kind(by_nothing.delay().get, timeout=8)


@program
def replace_called_directly():
    """Eager: replace runs the replacement here."""
    return kind(lambda: by_task.apply((1,)).get())


@program
def code_after_replace():
    """replace raises: what stands after it does not run."""
    result = goes_on.delay()
    return [result.get(timeout=8), stays(lambda: not notes("after"))]


@app.task(bind=True)
def goes_on(self):
    self.replace(add.s(1, 2))
    note("after")


@app.task(bind=True)
def grows(self, x):
    self.add_to_chord(add.si(x, 100))
    return x


@program
def add_to_chord():
    """A member adds another member to its chord."""
    return sorted(chord([grows.s(1), add.s(2, 2)], say.s())().get(timeout=8)[0])


@program
def add_to_chord_without_a_chord():
    """Without a chord: ValueError."""
    return kind(grows.delay(1).get, timeout=8)
