"""Where the master is: asked of sentinels, confirmed by the server itself, and asked again once there is any doubt.

One connection to a sentinel stays open and hears of failovers, so that a new connection costs no question while nothing
has happened. When the master has changed, all connections to the former one are ended: whoever waits on them comes back
and finds the new one.
"""

from __future__ import annotations

import threading
import time
from typing import Any, NamedTuple
from weakref import WeakSet

import msgspec

from smallage.core.errors import StoreError, StoreRefused, StoreUnavailable
from smallage.stores.redis.address import Address
from smallage.stores.redis.link import jitter
from smallage.stores.redis.wire import ServerError, Wire, pack
from smallage.stores.shelter import sheltered

MOST_KNOWN = 32
"""Sentinels remembered at most, those of the URL included."""
LOOK_SECONDS = 0.1
"""How often the open connection is looked at, at most."""
LONGEST_DEAF = 30.0
"""Seconds after which a sentinel is looked for again while work goes on without one."""
_NEWS = "+switch-master"


class Answer(NamedTuple):
    """What a sentinel says."""

    place: tuple[str, int]
    epoch: int
    """Of the failover that made this one master; 0 if that was not told."""
    others: list[tuple[str, int]]
    ear: Wire


class Sentinels:
    """Gives connections to the master. Threads share it."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._ask_as = address.ask or Address(is_sentinel=True)
        self._known = list(address.sentinels)
        self._lock = threading.Lock()
        self._master: Address | None = None
        self._epoch = 0
        self._ear: Wire | None = None
        self._sure = False
        """Nothing has happened since the sentinels were asked."""
        self._wires: WeakSet[Wire] = WeakSet()
        self._look_at = 0.0
        self._deaf_turns = 0

    def dial(self) -> Wire:
        """A connection to the master. Raises StoreUnavailable while there is none, StoreRefused for what will not pass
        by itself."""
        with self._lock:
            address = self._current()
        try:
            wire = Wire(address)
        except StoreUnavailable as error:
            self.doubt()
            raise StoreUnavailable(
                f"{error} The sentinels name it as '{self._address.master}'; a failover may be under way."
            ) from None
        try:
            self._confirm(wire)
        except StoreError:
            wire.close()
            self.doubt()
            raise
        with self._lock:
            self._wires.add(wire)
            if address is not self._master:  # it changed meanwhile
                wire.hang_up()
        return wire

    def doubt(self) -> None:
        """Something is wrong with the master: the next connection is made after asking, another sentinel first."""
        self._sure = False

    def moved(self) -> bool:
        """True if the master has changed since the last call; all connections to the former one are dead then. Costs
        next to nothing, and never waits long for a sentinel that is silent."""
        now = time.monotonic()
        if self._master is None or now < self._look_at:
            return False
        with sheltered():
            return self._look(now)

    def _look(self, now: float) -> bool:
        """`moved`, if nobody else is at it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._look_at = now + LOOK_SECONDS
            if self._ear is not None and self._heard_news():
                self._sure = False
                return self._ask(self._known)
            if self._sure and self._ear is not None:
                return False
            # What we have works, or somebody else would be asking; so one question now and then is enough.
            self._look_at = now + min(LONGEST_DEAF, 2**self._deaf_turns) + jitter(self._deaf_turns)
            self._deaf_turns = min(self._deaf_turns + 1, 5)
            self._turn()
            return self._ask(self._known[:1])
        except StoreError:
            return False  # whoever needs a new connection is told
        finally:
            self._lock.release()

    def close(self) -> None:
        """Hang up on the sentinel."""
        with self._lock:
            self._hear_through(None)

    def after_fork(self) -> None:
        """In a fork's child: nothing of the parent's connections may be used."""
        self._lock = threading.Lock()
        self._wires = WeakSet()
        self._sure = False
        ear, self._ear = self._ear, None
        if ear is not None:
            ear.forget()

    # -- with the lock held -------------------------------------------------------------------------------------------
    def _current(self) -> Address:
        """The master; asks unless nothing can have changed."""
        if self._sure and self._master is not None and self._ear is not None and not self._heard_news():
            return self._master
        if not self._sure and self._master is not None:
            self._turn()
        self._ask(self._known)
        assert self._master is not None
        return self._master

    def _heard_news(self) -> bool:
        """True if the ear has heard of a failover; a dead ear is taken off, which is no news."""
        assert self._ear is not None
        try:
            said = self._ear.arrived()
        except StoreUnavailable:
            self._hear_through(None)
            return False
        start = f"{self._address.master} ".encode()
        return any(isinstance(reply, list) and reply[0] == b"message" and reply[2].startswith(start) for reply in said)

    def _ask(self, places: list[tuple[str, int]]) -> bool:
        """Ask one after the other until one knows; True if the master is another than before.

        An answer from before a failover that is known here is taken only if nobody knows better: a sentinel that was
        cut off or frozen learns of it late."""
        failures: list[StoreError] = []
        late: list[tuple[tuple[str, int], Answer]] = []
        try:
            for place in list(places):
                try:
                    answer = self._question(place)
                except StoreError as error:
                    failures.append(error)
                    continue
                if not answer.epoch or answer.epoch >= self._epoch:
                    return self._believe(place, answer)
                late.append((place, answer))
            if late and len(places) > 1:
                return self._believe(*max(late, key=lambda one: one[1].epoch))
            raise self._nobody(failures)
        finally:
            for _, answer in late:
                if answer.ear is not self._ear:
                    answer.ear.close()

    def _believe(self, asked: tuple[str, int], answer: Answer) -> bool:
        self._known.remove(asked)
        self._known.insert(0, asked)
        for place in answer.others:
            if place not in self._known and len(self._known) < MOST_KNOWN:
                self._known.append(place)
        self._epoch = answer.epoch
        self._hear_through(answer.ear)
        self._sure, self._deaf_turns = True, 0
        host, port = answer.place
        former = self._master
        if former is not None and (former.host, former.port) == answer.place:
            return False
        self._master = msgspec.structs.replace(
            self._address, host=host, port=port, sentinels=(), ask=None, master="", min_other_sentinels=0
        )
        for wire in list(self._wires):
            wire.hang_up()
        self._wires.clear()
        return former is not None

    def _question(self, place: tuple[str, int]) -> Answer:
        """Ask one sentinel. Its connection goes on to hear of failovers: from then on nothing can be missed."""
        master = self._address.master
        wire = Wire(msgspec.structs.replace(self._ask_as, host=place[0], port=place[1]))
        try:
            wire.send(
                pack(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master))
                + pack(("SENTINEL", "MASTER", master))
                + pack(("SENTINEL", "SENTINELS", master))
                + pack(("SUBSCRIBE", _NEWS))
            )
            found, details, others, subscribed = [_reply(wire) for _ in range(4)]
            if isinstance(found, ServerError):
                raise _refused(wire.address, found)
            if found is None:
                raise self._unknown(wire.address)
            if isinstance(subscribed, ServerError):
                wire.close()  # forbidden: then every connection asks
            known = [_place(_fields(one)) for one in others] if isinstance(others, list) else []
            if len(known) < self._address.min_other_sentinels:
                raise StoreUnavailable(
                    f"{wire.address.shown} knows {len(known)} other sentinels, and min_other_sentinels wants "
                    f"{self._address.min_other_sentinels}."
                )
            epoch = int(_fields(details).get("config-epoch", "0")) if isinstance(details, list) else 0
            return Answer((found[0].decode(), int(found[1])), epoch, [one for one in known if all(one)], wire)
        except BaseException:
            wire.close()
            raise

    def _unknown(self, address: Address) -> StoreError:
        """The error for a name that a sentinel does not know. A name that it once knew comes back, most likely."""
        names = "none"
        try:
            wire = Wire(address)
            try:
                wire.send(pack(("SENTINEL", "MASTERS")))
                names = ", ".join(sorted([repr(_fields(one).get("name", "")) for one in wire.read()])) or names
            finally:
                wire.close()
        except (StoreError, ServerError):
            names = "names it does not tell"
        kind = StoreRefused if self._master is None else StoreUnavailable
        return kind(
            f"{address.shown} watches no master '{self._address.master}'. It watches: {names}. Put the right name into "
            "master_name, in the URL or in broker_transport_options."
        )

    def _nobody(self, failures: list[StoreError]) -> StoreError:
        """The error for a question that no sentinel answered: the one that says what to change, if there is one."""
        for error in failures:
            if isinstance(error, StoreRefused):
                return error
        where = self._address.shown
        why = " ".join([str(error) for error in failures]) or "Their answers are older than what is known."
        return StoreUnavailable(f"No sentinel of {where} says where the master is. {why}")

    def _turn(self) -> None:
        self._known.append(self._known.pop(0))

    def _hear_through(self, ear: Wire | None) -> None:
        former, self._ear = self._ear, None
        if former is not None:
            former.close()
        if ear is not None and ear.fileno() >= 0:
            self._ear = ear

    def _confirm(self, wire: Wire) -> None:
        """A sentinel may be late, and a server that was master a moment ago may still take connections."""
        try:
            wire.send(pack(("ROLE",)))
            role = wire.read()[0].decode()
        except ServerError as error:
            if error.code == "NOPERM":
                return  # a replica would refuse to be written to
            raise StoreUnavailable(f"{wire.address.shown} does not say whether it is the master: {error}.") from None
        if role != "master":
            raise StoreUnavailable(
                f"{wire.address.shown} is named as the master '{self._address.master}' and is a {role}: a failover is "
                "under way, or its sentinels are out of date."
            )


def _reply(wire: Wire) -> Any:
    """The next reply, errors included."""
    try:
        return wire.read()
    except ServerError as error:
        return error


def _refused(address: Address, error: ServerError) -> StoreError:
    if error.code == "ERR" and "unknown command" in str(error):
        return StoreRefused(
            f"{address.shown} is no sentinel but a server. A sentinel URL names the sentinels (port 26379 most often); "
            "a server without them is written redis://host:6379/0."
        )
    if error.code in ("NOAUTH", "NOPERM", "WRONGPASS"):
        return StoreRefused(
            f"{address.shown} forbids what Smallage must ask: {error}. Its user needs +sentinel, +subscribe and the "
            "channel +switch-master; user and password go into sentinel_kwargs."
        )
    return StoreUnavailable(f"{address.shown} does not say where the master is: {error}.")


def _fields(flat: list[bytes]) -> dict[str, str]:
    words = [word.decode(errors="replace") for word in flat]
    return dict(zip(words[::2], words[1::2], strict=False))


def _place(fields: dict[str, str]) -> tuple[str, int]:
    port = fields.get("port", "")
    return fields.get("ip", ""), int(port) if port.isdigit() else 0
