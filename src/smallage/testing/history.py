"""Histories: one JSON line per act, appended to a file before the next step, so that a killed process leaves its part.

Each line has `pid`, `event`, `act` and what belongs to it:

* `invoke`, then `ok`, `fail` or `info`, act `push`: `id`, and `verdict` once known. `ok` means that the task is in the
  store now (verdict ok or dup), `fail` that it was refused, `info` that the reply was lost.
* `claim`, `start`: `id`, `gen`, `tok`, `session`. `start` is written by the worker as the body begins (`started`).
* `invoke`, then `ok` or `info`, act `settle`: `id`, `gen`, `tok`, `kind` (done, failed, …), and `verdict` once known.
* `ok`, acts `revoke`, `requeue`: `id`, `verdict`; acts `purge`, `forget`, `group_revoke`, `group_retry`: `what` and
  `number`.

Children in the `then` and `ends` of a stale settlement are `info`: the accepted settlement of the same task may have
made them; so is the task of a schedule's tick that came late. A follow-up counts as pushed when it is claimed first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from smallage.core.errors import StoreError, StoreUnavailable
from smallage.core.message import Claim, Message, Settlement, member_id
from smallage.stores.base import Claimed, FireVerdict, GroupBatch, Settled, Store
from smallage.testing.wrapper import Wrapper

ENV = "SMALLAGE_HISTORY"
"""Environment variable with the path of the history file."""


class History:
    """A history file. Lines of many processes may go to one file: each is one `write` with O_APPEND."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def append(self, event: str, act: str, **fields: object) -> None:
        """Write one line."""
        self.extend([(event, act, fields)])

    def extend(self, lines: Iterable[tuple[str, str, dict[str, object]]]) -> None:
        """Write several lines in one go."""
        pid = os.getpid()
        texts = [json.dumps({"pid": pid, "event": event, "act": act, **fields}) for event, act, fields in lines]
        if texts:
            os.write(self._fd, ("\n".join(texts) + "\n").encode())

    def close(self) -> None:
        """Close the file; twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @staticmethod
    def read(path: str) -> list[dict[str, Any]]:
        """All whole lines of a history file, in order; a last line cut short by a kill is left out."""
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]


_opened: dict[tuple[int, str], History] = {}


def from_environment() -> History | None:
    """The history named by `SMALLAGE_HISTORY`, opened once per process; None when it is not set."""
    path = os.environ.get(ENV)
    if not path:
        return None
    key = (os.getpid(), path)
    if key not in _opened:
        _opened[key] = History(path)
    return _opened[key]


def started(claim: Claim, session: str = "") -> None:
    """Write that the body of a claimed task begins now; nothing happens without `SMALLAGE_HISTORY`."""
    history = from_environment()
    if history is not None:
        history.append("start", "start", id=claim.id, gen=claim.gen, tok=claim.tok, session=session)


class HistoryStore(Wrapper):
    """Any store; what its clients ask and hear goes to `history` (default: the file named by the environment)."""

    def __init__(self, inner: Store, history: History | None = None) -> None:
        super().__init__(inner)
        found = history or from_environment()
        if found is None:
            raise ValueError(f"no history file: set {ENV} to a path, or give a History")
        self.history = found

    def push(self, messages: Sequence[Message]) -> Any:
        """As the store's `push`."""
        return self._pushing([m.id for m in messages], lambda: self.inner.push(messages), list)

    def group_push(self, batch: GroupBatch) -> Any:
        """As the store's `group_push`."""
        ids = [member_id(batch.id, batch.offset + i) for i in range(len(batch.rows))] + [m.id for m in batch.members]
        if batch.body is not None:
            ids.append(batch.body.id)
        ids += [m.id for m in batch.also]
        return self._pushing(ids, lambda: self.inner.group_push(batch), lambda verdict: [verdict] * len(ids))

    def _asked(self, ids: list[str], act: Callable[[], Any]) -> Any:
        """The answer to a push of these; what fails, or may have happened, is noted here."""
        self.history.extend(("invoke", "push", {"id": i}) for i in ids)
        try:
            return act()
        except StoreUnavailable:
            self.history.extend(("info", "push", {"id": i}) for i in ids)
            raise
        except StoreError:
            self.history.extend(("fail", "push", {"id": i}) for i in ids)
            raise

    def _pushing(self, ids: list[str], act: Callable[[], Any], verdicts: Callable[[Any], list[str]]) -> Any:
        answer = self._asked(ids, act)
        told = verdicts(answer)
        refused = bool({"conflict", "full"} & set(told))
        self.history.extend(
            ("fail" if refused and v != "dup" else "ok", "push", {"id": i, "verdict": v})
            for i, v in zip(ids, told, strict=True)
        )
        return answer

    def claim(self, session: str, request: Any) -> Claimed:
        """As the store's `claim`."""
        claimed = self.inner.claim(session, request)
        self._claims(session, claimed)
        return claimed

    def _claims(self, session: str, claimed: Claimed) -> None:
        followed = [c for c in claimed.claims if c.after is not None]
        self.history.extend(("ok", "push", {"id": c.id, "verdict": "ok"}) for c in followed)
        self.history.extend(
            ("claim", "claim", {"id": c.id, "gen": c.gen, "tok": c.tok, "session": session}) for c in claimed.claims
        )

    def settle(self, session: str, settlements: Sequence[Settlement], request: Any = None) -> Settled:
        """As the store's `settle`."""
        ends: list[dict[str, object]] = [
            {"id": s.id, "gen": s.gen, "tok": s.tok, "kind": type(s.outcome).__name__.lower()} for s in settlements
        ]
        children = [
            [m.id for m in (*getattr(s.outcome, "then", ()), *getattr(s.outcome, "ends", ()))] for s in settlements
        ]
        self.history.extend(("invoke", "settle", end) for end in ends)
        self.history.extend(("invoke", "push", {"id": i}) for ids in children for i in ids)
        try:
            settled = self.inner.settle(session, settlements, request)
        except StoreUnavailable:
            self.history.extend(("info", "settle", end) for end in ends)
            self.history.extend(("info", "push", {"id": i}) for ids in children for i in ids)
            raise
        for end, ids, verdict in zip(ends, children, settled.verdicts, strict=True):
            event = "info" if verdict == "stale" else "ok"
            self.history.extend([("ok", "settle", {**end, "verdict": verdict})])
            self.history.extend((event, "push", {"id": i, "verdict": verdict}) for i in ids)
        self._claims(session, settled.claimed)
        return settled

    def fire(
        self, name: str, instant_us: int, message: Message | None, skip: bool = False, spec: bytes | None = None
    ) -> FireVerdict:
        """As the store's `fire`."""
        ids = [message.id] if message is not None and not skip else []
        verdict: FireVerdict = self._asked(ids, lambda: self.inner.fire(name, instant_us, message, skip, spec))
        event = {"fired": "ok", "late": "info"}.get(verdict, "fail")
        self.history.extend((event, "push", {"id": i, "verdict": verdict}) for i in ids)
        return verdict

    def revoke(self, ids: Sequence[str], terminate: bool = False) -> Any:
        """As the store's `revoke`."""
        verdicts = self.inner.revoke(ids, terminate)
        self.history.extend(("ok", "revoke", {"id": i, "verdict": v}) for i, v in zip(ids, verdicts, strict=True))
        return verdicts

    def requeue(self, ids: Sequence[str]) -> list[bool]:
        """As the store's `requeue`."""
        answers = self.inner.requeue(ids)
        self.history.extend(("ok", "requeue", {"id": i, "verdict": v}) for i, v in zip(ids, answers, strict=True))
        return answers

    def around(self, verb: str, act: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        answer = act(*args, **kwargs)
        if verb in ("purge", "forget", "group_revoke", "group_retry"):
            self.history.append("ok", verb, what=args[0] if args else kwargs, number=answer)
        return answer
