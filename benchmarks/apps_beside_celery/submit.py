"""A user of the video analysis, in the environment of one of the systems: uploads a file some times, and waits.

    python submit.py FILE TIMES PATIENCE

Prints a line of JSON when all have ended or PATIENCE seconds are over. Imports nothing of Smallage: it runs beside Celery
too.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from video_analysis import create_app, db, passwords, records
from video_analysis.models import User


def main(file: Path, times: int, patience: float) -> None:
    app = create_app()
    user = User(email="ann@example.com", password_hash="!", minutes_quota=10_000)
    with db.writing() as session:
        session.add(user)
    headers = {"Authorization": f"Bearer {passwords.new_token(user.id)}"}
    client = app.test_client()
    began = time.monotonic()
    open_ones: list[str] = []
    for number in range(times):
        with file.open("rb") as content:
            answer = client.post(
                "/api/analyses",
                data={"file": (content, file.name)},
                headers=headers | {"Idempotency-Key": f"upload-{number}"},
            )
        assert answer.status_code == 202, answer.text
        open_ones.append(answer.json["id"])
    ended: list[str] = []
    while open_ones and time.monotonic() - began < patience:
        for one in list(open_ones):
            if records.load(one).ended:
                open_ones.remove(one)
                ended.append(one)
        time.sleep(0.05)
    wall = time.monotonic() - began
    whole = [records.load(one) for one in ended]
    account = client.get("/api/account", headers=headers).json
    print(
        json.dumps(
            {
                "wall": wall,
                "done": sum(one.state == "done" for one in whole),
                "missing": len(open_ones),
                "errors": [one.error for one in whole if one.error],
                "minutes_used": account["minutes_used"],
                "transcript": next((records.load(one).transcript for one in ended), ""),
            },
            default=str,
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
