"""What a workflow is worth, in a few lines that know nothing of the engine.

A tree is ("leaf", name, kind), ("chain", [trees]), ("group", [trees]) or ("chord", [trees], body). A value is
("SUCCESS", value), or an end without one: ("FAILURE",), ("REVOKED",), ("IGNORED",). `ran` counts what was done.
"""

from collections import Counter

ENDS = {"fail": "FAILURE", "kill": "FAILURE", "expire": "REVOKED", "revoke": "REVOKED", "ignore": "IGNORED"}


def value_of(tree, given, ran: Counter):
    kind = tree[0]
    if kind == "leaf":
        return leaf(tree, given, ran)
    if kind == "chain":
        for step in tree[1]:
            value = value_of(step, given, ran)
            if value[0] != "SUCCESS":
                return value
            given = [value[1]]
        return value
    values = [value_of(member, given, ran) for member in tree[1]]
    bad = [value for value in values if value[0] not in ("SUCCESS", "IGNORED")]
    gathered = [value[1] if value[0] == "SUCCESS" else None for value in values]
    if kind == "group":
        return ("FAILURE",) if bad else ("SUCCESS", gathered)
    return ("FAILURE",) if bad else value_of(tree[2], [gathered], ran)


def leaf(tree, given, ran):
    _, name, kind = tree
    if kind == "replace":
        inner = [("leaf", f"{name}.{place}", "ok") for place in range(2)]
        return value_of(("chord", inner, ("leaf", name + ".z", "ok")), given, ran)
    if kind not in ("expire", "revoke", "kill"):
        ran[name] += 1
    return (ENDS[kind],) if kind in ENDS else ("SUCCESS", [name, *given])
