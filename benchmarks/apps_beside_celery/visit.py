"""What users do, in the environment of one of the systems: index a long playlist while others come with short ones.

    python visit.py LONG VISITORS EVERY PATIENCE

Every EVERY seconds one of VISITORS starts indexing a playlist of 10 videos; LONG is somebody's playlist of many. Prints
a line of JSON when the long run has been half done, and one at the end: when everything is indexed, or when nothing has
happened for PATIENCE seconds. Imports nothing of Smallage: it runs beside Celery too.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field

from sqlalchemy import func, select

from playlist_search import runs, services, shelf, tokens
from playlist_search.models import RunVideo, User

LOOK_EVERY = 0.02


@dataclass
class Visit:
    """One user's run. Times are seconds since the first of all."""

    run_id: str
    clicked: float
    answered: float
    """How long the start took."""
    total: int
    first: float | None = None
    ended: float | None = None
    done: int = 0


@dataclass
class Day:
    """Everybody's runs."""

    began: float = field(default_factory=time.monotonic)
    visits: dict[str, Visit] = field(default_factory=dict)
    last_change: float = 0.0
    gaps: list[float] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() - self.began

    def click(self, user_id: int, playlist_id: str, total: int) -> Visit:
        clicked = self.now()
        run = runs.start(user_id, playlist_id)
        visit = Visit(run.id, clicked, self.now() - clicked, total)
        self.visits[run.id] = visit
        return visit

    def look(self) -> None:
        """See which videos have ended."""
        open_runs = [run_id for run_id, visit in self.visits.items() if visit.ended is None]
        chosen = (
            select(RunVideo.run_id, func.count())
            .where(RunVideo.run_id.in_(open_runs), RunVideo.outcome != "")
            .group_by(RunVideo.run_id)
        )
        with services.current().db.reading() as session:
            counted = {row[0]: row[1] for row in session.execute(chosen)}
        now = self.now()
        for run_id, count in counted.items():
            visit = self.visits[run_id]
            if count > visit.done:
                visit.done, self.last_change = count, now
                visit.first = now if visit.first is None else visit.first
            if count == visit.total:
                visit.ended = now


def new_user(name: str) -> int:
    with services.current().db.writing() as session:
        user = User(subject=name, name=name)
        session.add(user)
        session.flush()
        user_id = user.id
    tokens.save(user_id, {"access_token": f"token-for-{name}", "expires_at": time.time() + 86_400})
    shelf.playlists(user_id)
    return user_id


def main(long: int, visitors: int, every: float, patience: float) -> None:
    owner = new_user("owner")
    waiting = [(new_user(f"visitor-{number}"), f"PLvisitor{number}") for number in range(visitors)]
    day = Day()
    main_run = day.click(owner, "PLlong", long)
    half_told = False
    while any(visit.ended is None for visit in day.visits.values()) or waiting:
        if waiting and day.now() > every * (visitors - len(waiting) + 1):
            day.click(*waiting.pop(0), 10)
        day.look()
        if not half_told and main_run.done >= long // 2:
            half_told = True
            print(json.dumps({"half": day.now()}), flush=True)
        if day.now() - day.last_change > patience:
            break
        time.sleep(LOOK_EVERY)
    visits = list(day.visits.values())
    print(
        json.dumps(
            {
                "wall": main_run.ended,
                "last_change": day.last_change,
                "missing": sum(visit.total - visit.done for visit in visits),
                "first_results": [v.first - v.clicked for v in visits[1:] if v.first is not None],
                "whole_results": [v.ended - v.clicked for v in visits[1:] if v.ended is not None],
                "starts": [visit.answered for visit in visits],
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
