"""The documents of the demonstration: distinct, readable, the same at every call."""

import re

from smallage.demo.corpus import documents


def test_a_thousand_distinct_documents_of_prose():
    found = documents(1_000)
    assert len({document.id for document in found}) == 1_000
    assert len({document.title for document in found}) == 1_000
    assert len({" ".join(document.text.split()) for document in found}) == 1_000
    for document in found:
        letters = len(re.findall(r"[A-Za-z\s]", document.text))
        assert len(document.text) >= 200, document.title
        assert letters > len(document.text) * 0.5, document.title
    assert sum(len(re.findall(r"[A-Za-z]+", document.text)) for document in found) > 50_000


def test_both_sources_are_in_it():
    titles = {document.title for document in documents(100)}
    assert 'The "assert" statement' in titles
    assert "argparse" in titles


def test_the_same_at_every_call():
    assert documents(50) == documents(50)
    assert documents(80)[:50] == documents(50)


def test_more_than_there_are_come_again_under_ids_of_their_own():
    found = documents(5_000)
    assert len({document.id for document in found}) == 5_000
    assert [document.number for document in found] == list(range(5_000))
    assert any(document.title.endswith(", take 2") for document in found)
