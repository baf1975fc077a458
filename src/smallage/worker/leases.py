"""What a supervisor does at the store: renews its children's sessions, settles what the dead have left, watches peers.

All of it is repeated until the store answers; nothing here waits.
"""

from __future__ import annotations

import logging
import math
import os
import random
import select
from time import monotonic
from typing import TYPE_CHECKING

from smallage.core.errors import StoreError
from smallage.core.message import Released, Settlement
from smallage.stores.base import Order
from smallage.worker.estate import Estate
from smallage.worker.line import Word
from smallage.worker.peers import Peers

if TYPE_CHECKING:
    from smallage.stores.base import Host, SessionView, Store
    from smallage.worker.children import ChildProcess
    from smallage.worker.finish import Outage

logger = logging.getLogger("smallage.worker")

GREETING = "peer"
"""Kind of the order by which a new worker makes itself known to the others."""


class Leases:
    """The sessions of `children`, a list that the supervisor keeps, from `open` on."""

    def __init__(self, inbox: str, host: Host, poll: select.poll, children: list[ChildProcess], outage: Outage) -> None:
        self.store: Store | None = None
        self.next_tick = 0.0
        """When sessions are to be renewed."""
        self.retry_at = math.inf
        """When to call `settle_estates` again though nothing has happened."""
        self.estates: list[Estate] = []
        """What dead children have left and is not settled yet."""
        self._inbox, self._children, self._outage = inbox, children, outage
        self._peers = Peers(host, poll)
        self._lease = 0.0
        self._greeted = False

    def open(self, store: Store, lease: float) -> None:
        """Work with this store; leases last so many seconds."""
        self.store, self._lease = store, lease

    def close(self) -> None:
        self._peers.close()
        if self.store is not None:
            self.store.close()

    def next_at(self) -> float:
        """When there is something to do."""
        return math.inf if self.store is None else min(self.next_tick, self.retry_at)

    def heard(self, fds: set[int]) -> None:
        """The poll has returned on these descriptors: a peer may have died."""
        if self._peers.ended(fds):
            self.next_tick = 0.0

    # -- own sessions -------------------------------------------------------------------------------------------------
    def tick(self) -> bool:
        """Renew the sessions and take back what the dead have left, if it is time; False if that was not done."""
        now = monotonic()
        if self.store is None or now < self.next_tick:
            return False
        own = [child.session for child in self._children if child.announced]
        try:
            views = self.store.workers()
            self._peers.see(views, set(own))
            ticked = self.store.tick(own, self._peers.dead())
            self._greet(self.store, views)
        except StoreError as error:
            self._outage.begins(error)
            self.next_tick = monotonic() + random.uniform(0.1, 1.0)
            return False
        self._outage.ends()
        for child in self._children:
            if child.session in ticked.unknown:
                self._lost(child)
            elif child.session in own:
                self.fence(child, now)
        if ticked.taken_back:
            logger.warning("Took back %d task(s) of lost workers", len(ticked.taken_back))
        waits = [self._lease / 3]
        for moment in (ticked.next_due_us, ticked.next_lease_us):
            if moment is not None:
                waits.append(max(0.005, (moment - ticked.now_us) / 1e6 + 0.001))
        self.next_tick = monotonic() + min(waits)
        return True

    def fence(self, child: ChildProcess, renewed: float) -> None:
        """Renewed at `renewed`: nothing may be started when the lease may be over."""
        if not child.frozen:
            child.board.fence = renewed + self._lease - max(2.0, self._lease / 10)

    def _lost(self, child: ChildProcess) -> None:
        child.announced = False
        child.board.fence = 0.0
        child.line.say_later(Word("lost", session=os.urandom(16).hex()))

    def settle_estates(self, stopping: bool) -> bool:
        """Settle what dead children have left; says whether started bodies went back unfinished. A store that does not
        answer is asked again later, unless we are stopping: then the next worker, or the lease, hands all back."""
        self.retry_at = math.inf
        unfinished = False
        if self.store is None:
            self.estates.clear()
        while self.estates:
            assert self.store is not None
            try:
                unfinished = bool(self.estates[0].settle(self.store)) or unfinished
            except StoreError as error:
                self._outage.begins(error)
                if stopping:
                    self.estates.clear()
                else:
                    self.retry_at = monotonic() + random.uniform(0.05, 1.0)
                break
            del self.estates[0]
        return unfinished

    def look_for_frost(self, child: ChildProcess, now: float) -> None:
        """A child whose engine has not come round for a lease: its waiting claims are handed back, what runs stays."""
        if not child.announced or self.store is None or child.frozen or now - child.board.seen <= self._lease:
            return
        child.frozen = True
        child.board.fence = 0.0
        kept = child.board.once().union(child.board.running())
        try:
            waiting = [held for held in self.store.held(child.session) if held.tok not in kept]
            self.store.settle(
                child.session, [Settlement(held.id, held.gen, held.tok, held.nonce, Released()) for held in waiting]
            )
        except StoreError as error:
            child.frozen = False
            self._outage.begins(error)
            return
        child.line.say_later(Word("frozen"))
        if waiting:
            logger.warning("Child %d is frozen: %d waiting task(s) handed back", child.number + 1, len(waiting))

    # -- others -------------------------------------------------------------------------------------------------------
    def probe_peers(self) -> None:
        """Ask the store for the deaths of those whose end no descriptor tells."""
        if self.store is None or not self._peers.unwatched():
            return
        own = {child.session for child in self._children} | {estate.session for estate in self.estates}
        try:
            dead = self._peers.confirmed(self.store.dead_peers(), own)
            if dead:
                ticked = self.store.tick([child.session for child in self._children if child.announced], dead)
                logger.warning("Took back %d task(s) of dead workers", len(ticked.taken_back))
        except StoreError as error:
            self._outage.begins(error)

    def _greet(self, store: Store, views: list[SessionView]) -> None:
        """Once: have the other workers look at who is there, so that they watch over us from now on."""
        if not self._greeted and any(child.announced for child in self._children):
            self._greeted = True
            for session in {v.info.inbox: v.session for v in views if v.info.inbox not in ("", self._inbox)}.values():
                store.control(Order(session, GREETING))
