"""What the two databases' engines share: passages in a table, and the best of each video."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from playlist_search import models
from playlist_search.documents import Document, Hit, Passage, hit
from playlist_search.words import Query

DEPTH = 20
"""Passages that are looked at for each video that is asked for: a video may be in many of them."""


def replace(session: Session, document: Document) -> list[tuple[int, Passage]]:
    """Write a video's passages in place of those there are; returns them with their ids."""
    session.execute(delete(models.Passage).where(models.Passage.video_id == document.video_id))
    passages = list(document.passages())
    rows = [
        {"video_id": document.video_id, "title": document.title, "text": one.text, "lines": one.lines}
        for one in passages
    ]
    ids = session.scalars(insert(models.Passage).returning(models.Passage.id, sort_by_parameter_order=True), rows)
    return list(zip(ids, passages, strict=True))


def best(rows: Iterable[Sequence[Any]], query: Query, limit: int) -> list[Hit]:
    """The first passage of each video, of rows (video, title, text, lines) in order of rank."""
    found: dict[str, Hit] = {}
    for video_id, title, text, lines in rows:
        if video_id not in found:
            known = json.loads(lines) if isinstance(lines, str) else lines
            found[video_id] = hit(video_id, title, Passage(text, known), query)
            if len(found) == limit:
                break
    return list(found.values())
