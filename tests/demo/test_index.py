"""The search index: idempotent, safe from many threads and processes, and able to tell what it lacks."""

import subprocess
import sys
import threading

import pytest

from smallage.demo.corpus import documents
from smallage.demo.index import Index

WRITER = """
import sys
from pathlib import Path
from smallage.demo.index import Index
index = Index(Path(sys.argv[1]))
for number in range(60):
    index.put(number, f"v{number:04d}", f"video {number}", f"written by process {sys.argv[2]}, words for {number}")
"""


@pytest.fixture
def index(tmp_path):
    index = Index(tmp_path / "index.db")
    index.create()
    yield index
    index.close()


def test_writing_twice_leaves_one_row(index):
    index.put(0, "v0000", "first", "an apple a day")
    index.put(0, "v0000", "first", "a pear a day")
    assert index.count() == 1
    assert index.search("apple")[0] == 0
    assert index.search("pear")[0] == 1


def test_search_counts_all_and_shows_the_best_with_title_and_snippet(index):
    for document in documents(200):
        index.put(document.number, document.id, document.title, document.text)
    total, hits = index.search("context manager", limit=2)
    assert total > 2
    assert len(hits) == 2
    for hit in hits:
        assert "[context]" in hit.snippet.lower() or "[manager" in hit.snippet.lower()
        assert hit.title
        assert "\n" not in hit.snippet


def test_odd_words_are_no_query_syntax(index):
    index.put(0, "v0000", "quotes", 'he said "NOT" and left')
    assert index.search('"NOT" AND')[0] == 1
    assert index.search("left*")[0] == 1


def test_it_names_what_is_missing_and_what_is_there_twice(index):
    for number, video in enumerate(["v0", "v1", "twice", "twice"]):
        index.put(number, video, "title", f"the words of number {number}")
    assert index.unsearchable(["v0", "v1", "absent", "twice"]) == ["absent", "twice"]


def test_a_row_whose_text_the_index_lost_is_not_searchable(index):
    index.put(0, "v0", "title", "words that are to be found")
    index.put(1, "v1", "title", "words that will be lost")
    with index._lock:  # the row says something else than what was indexed for it
        index._connect().execute("UPDATE transcripts_content SET c2 = 'something never indexed' WHERE id = 2")
    assert index.unsearchable(["v0", "v1"]) == ["v1"]


def test_many_threads_write_at_once(index):
    found = documents(120)
    errors = []

    def write(part):
        try:
            for document in found[part::8]:
                index.put(document.number, document.id, document.title, document.text)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert index.count() == 120
    assert index.unsearchable([document.id for document in found]) == []


def test_several_processes_write_the_same_rows(index):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(index.path), name], stderr=subprocess.PIPE)
        for name in ("one", "two", "three")
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=50)
        assert writer.returncode == 0, errors.decode()
    assert index.count() == 60
    assert index.unsearchable([f"v{number:04d}" for number in range(60)]) == []
