# mypy: ignore-errors
"""What a running task knows of itself, its parent and its root; what its result knows of its children."""

from celery import chain, chord, current_task, group
from celery.app.task import Context

from tests.celery_diff.lab import ancestry, make_app, note, program, wait_notes, wait_until

WORKER = {"pool": "threads", "concurrency": 2}
app = make_app("lineage")


@app.task(bind=True)
def ids(self, *args):
    request = self.request
    return {"id": request.id, "parent": request.parent_id, "root": request.root_id}


@app.task(bind=True)
def look(self, *args, **kwargs):
    names = args[0] if args else []
    return {name: getattr(self.request, name, "missing") for name in names}


def asked(*names, **options):
    return look.apply_async((list(names),), **options).get(timeout=8)


@program
def a_single_task():
    """Alone: itself as root, no parent."""
    result = ids.delay()
    return [result.id, result.get(timeout=8), result.parent]


@program
def child_of_a_task():
    """A task sent by a task has it as parent, and shares its root."""
    result = parent.delay()
    child_id = result.get(timeout=8)
    child = app.AsyncResult(child_id)
    return [result.id, child_id, child.get(timeout=8)]


@app.task
def parent():
    return ids.delay().id


@program
def grandchild():
    """Three generations share one root."""
    result = generation.delay(3)
    wait_notes(3)
    return [result.id, wait_notes(3)]


@app.task(bind=True)
def generation(self, left):
    note(left, self.request.id, self.request.parent_id, self.request.root_id)
    if left > 1:
        generation.delay(left - 1)


@program
def children_of_a_result():
    """What a task sends are its result's children."""
    result = sends_three.delay()
    result.get(timeout=8)
    wait_until(lambda: all(child.ready() for child in result.children))
    return [type(child).__name__ for child in result.children]


@app.task
def sends_three():
    ids.delay()
    group(ids.s(), ids.s())()
    chain(ids.s(), ids.s())()


@program
def children_left_out():
    """add_to_parent=False keeps a child out."""
    result = sends_apart.delay()
    child_id = result.get(timeout=8)
    child = app.AsyncResult(child_id).get(timeout=8)
    return [result.children, child["parent"] == result.id]


@app.task
def sends_apart():
    return ids.apply_async(add_to_parent=False).id


@program
def trail_false():
    """trail=False keeps no children."""
    result = without_trail.delay()
    result.get(timeout=8)
    return result.children


@app.task(trail=False)
def without_trail():
    ids.delay()


@program
def chain_inside_a_task():
    """A chain sent by a task: root is the task."""
    result = sends_chain.delay()
    last = app.AsyncResult(result.get(timeout=8))
    found = last.get(timeout=8)
    return [found["root"] == result.id, found["id"] == last.id]


@app.task
def sends_chain():
    return chain(ids.s(), ids.s())().id


@program
def ids_of_a_diamond():
    """Root and parents through task, group and body."""
    result = chain(ids.s(), group(ids.s(), ids.s()), collect_ids.s())()
    first, last = result.get(timeout=8)
    root = first[0]["root"]
    return {
        "one root": all(one["root"] == root for one in [*first, last]),
        "members share a parent": first[0]["parent"] == first[1]["parent"] == root,
        "body's parent is a member": last["parent"] in [one["id"] for one in first],
        "depth": len(ancestry(result)),
    }


@app.task(bind=True)
def collect_ids(self, found):
    request = self.request
    return [found, {"id": request.id, "parent": request.parent_id, "root": request.root_id}]


@program
def arguments_in_the_request():
    """args is a list, kwargs a dict."""
    return look_at_arguments.delay(1, [2], key={"a": 1}).get(timeout=8)


@app.task(bind=True)
def look_at_arguments(self, *args, **kwargs):
    request = self.request
    return [request.args, request.kwargs, type(request.args).__name__, type(request.kwargs).__name__]


@program
def plain_attributes():
    """Attributes of a plain call."""
    return asked(
        "retries",
        "is_eager",
        "called_directly",
        "eta",
        "expires",
        "group",
        "group_index",
        "chord",
        "chain",
        "callbacks",
        "errbacks",
        "timelimit",
        "ignore_result",
        "replaced_task_nesting",
        "task",
        "headers",
    )


@program
def correlation_id():
    """correlation_id is the id."""
    result = look.delay(["id", "correlation_id"])
    found = result.get(timeout=8)
    return [result.id, found]


@program
def delivery_info():
    """Where it came from."""
    found = asked("delivery_info")
    return found["delivery_info"]


@program
def hostname_and_origin():
    """The worker's node name, the sender's origin."""
    return asked("hostname", "origin")


@program
def callbacks_and_errbacks():
    """Links as the request shows them."""
    found = asked("callbacks", "errbacks", link=ids.si(), link_error=ids.si())
    return [
        [one["task"] for one in found["callbacks"]],
        [one["task"] for one in found["errbacks"]],
        found["callbacks"][0]["immutable"],
    ]


@program
def remaining_chain():
    """request.chain holds what is left, last step first."""
    result = chain(rest.s(), rest.s(), rest.s("end"))()
    result.get(timeout=8)
    return [result.parent.parent.result, result.parent.result, result.result]


@app.task(bind=True)
def rest(self, *args):
    return [step["task"] + str(len(step["args"])) for step in self.request.chain or []]


@program
def chord_in_the_request():
    """request.chord is the body."""
    result = chord([body_of.s(), body_of.s()])(ids_of_list.s())
    return result.get(timeout=8)


@app.task(bind=True)
def body_of(self):
    return [self.request.chord["task"], self.request.group_index]


@app.task
def ids_of_list(found):
    return found


@program
def own_headers():
    """The caller's headers in request.headers and as attributes."""
    result = headers.apply_async(headers={"tenant": "t1", "number": 3})
    return result.get(timeout=8)


@app.task(bind=True)
def headers(self):
    return [self.request.headers["tenant"], self.request.headers["number"], self.request.get("tenant")]


@program
def limits_in_the_request():
    """timelimit is hard and soft."""
    return asked("timelimit", time_limit=30, soft_time_limit=20)


@program
def shadow_name():
    """shadow is there to read."""
    return asked("shadow", shadow="other.name")


@program
def context_outside_a_run():
    """Outside a run the request is empty and says called_directly."""
    request = look.request
    return [type(request).__name__, request.id, request.called_directly, request.retries, request.args]


@program
def request_get_and_update():
    """Context as a small mapping."""
    context = Context({"id": "x", "retries": 2}, own=5)
    context.update(retries=3)
    return [context.id, context.retries, context.own, context.get("nothing", "default"), context.called_directly]


@program
def current_task_inside():
    """current_task and app.current_task are the running one."""
    return [inside.delay().get(timeout=8), bool(current_task), app.current_task]


@app.task
def inside():
    return [current_task.name, app.current_task.name, current_task.request.id == app.current_task.request.id]


@program
def nested_call():
    """A task called as a function inside a task has a request of its own."""
    return outer.delay().get(timeout=8)


@app.task(bind=True)
def outer(self):
    mine = self.request.id
    inner = ids()
    return [inner["id"] == mine, self.request.id == mine, self.request.called_directly]


@program
def root_and_parent_given():
    """root_id and parent_id of the call win."""
    return ids.apply_async(root_id="the-root", parent_id="the-parent", task_id="itself").get(timeout=8)


@program
def context_in_a_workflow():
    """Parent, root, group, worker and queue of every kind of step: link, errback, replacement, retry, member, body."""
    first = told.s("first").set(queue="celery", link=told.si("link"))
    last = told.si("last")
    last.link_error(told.si("never"))
    members = group([told.si("member"), told.si("member's first") | told.si("member's last")])
    result = chain(first, replaced.si(), chord(members, told.si("body")), again.si(), last)()
    result.get(timeout=20)
    broken = fails.apply_async(link_error=told.si("errback"))
    broken.get(propagate=False, timeout=8)
    return sorted(wait_notes(10), key=str)


@app.task(bind=True)
def told(self, name, *args):
    request = self.request
    if request.retries or name != "retried":
        queue = request.delivery_info["routing_key"]
        ids = [request.id, request.parent_id, request.root_id]
        kinds = ["none" if one is None else "itself" if one == ids[0] else "another" for one in ids[1:]]
        grouped = None if name == "errback" else [request.group is not None, request.group_index]
        note(name, kinds, ids[1] == ids[2], grouped, request.hostname, queue, request.delivery_info["redelivered"])
    return name


@app.task(bind=True)
def replaced(self):
    raise self.replace(told.si("replacement"))


@app.task(bind=True)
def again(self):
    if not self.request.retries:
        raise self.retry(countdown=0)
    request = self.request
    note("again", request.parent_id is None, request.root_id == request.id, request.hostname)


@app.task
def fails():
    raise ValueError("no")


@program
def group_of_an_errback():
    """An errback that is sent as a task: is it a member of a group?"""
    fails.apply_async(link_error=look_at_group.s()).get(propagate=False, timeout=8)
    return wait_notes(1)


@app.task
def look_at_group(failed_id):
    note(current_task.request.group is not None, current_task.request.group_index)
