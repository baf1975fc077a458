"""What the two databases' engines share: passages in a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from playlist_search import models
from playlist_search.documents import Document, Hit, Passage, hit
from playlist_search.words import Query


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


def hits(rows: Iterable[Sequence[Any]], query: Query) -> list[Hit]:
    """The hits that rows (video, title, text, lines) are."""
    return [
        hit(video_id, title, Passage(text, json.loads(lines) if isinstance(lines, str) else lines), query)
        for video_id, title, text, lines in rows
    ]
