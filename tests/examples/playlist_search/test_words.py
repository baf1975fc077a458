"""Words, snippets and passages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playlist_search.documents import PASSAGE_CHARACTERS, Document, Line
from playlist_search.words import SNIPPET, Query, Term, best_place, folded_words, marked, parse


def test_words_are_parted_by_signs_and_folded() -> None:
    assert folded_words("Über-Größe, ﬁnd_it: 3.5!") == "uber grosse find it 3 5"
    assert parse("Café au") == Query((Term("cafe", True), Term("au", True)))
    assert parse("au Café ") == Query((Term("au", False), Term("cafe", True)))
    assert parse("a") == Query((Term("a", False),))
    assert not parse("?! -")


def test_no_more_words_than_a_person_types() -> None:
    assert len(parse(" ".join(f"word{n}" for n in range(100))).terms) == 12


def test_marks() -> None:
    assert marked("The café, cafés and cafeteria.", parse("cafe ")) == [
        ("The ", False),
        ("café", True),
        (", ", False),
        ("cafés", True),
        (" and ", False),
        ("cafeteria", True),
        (".", False),
    ]
    assert marked("", parse("x")) == []
    assert marked("nothing", parse("x")) == [("nothing", False)]


def test_a_snippet_is_cut_around_the_place() -> None:
    text = "before " * 100 + "here it is " + "after " * 100
    parts = marked(text, parse("here"))
    whole = "".join(part for part, _ in parts)
    assert ("here", True) in parts
    assert len(whole) <= SNIPPET + 4
    assert whole.startswith("… before ")
    assert whole.endswith(" after …")


@given(st.text(max_size=600), st.text(max_size=40))
def test_nothing_of_the_text_is_changed(text: str, typed: str) -> None:
    query = parse(typed)
    shown = "".join(part for part, _ in marked(text, query))
    assert shown.removeprefix("… ").removesuffix(" …") in text
    place = best_place(text, query)
    assert place is None or 0 <= place < len(text)


@given(st.lists(st.text(alphabet="ab é", max_size=300), max_size=12))
def test_passages_hold_every_line_at_its_second(said: list[str]) -> None:
    document = Document("v", "T", "D", [Line(2.0 * n, text) for n, text in enumerate(said)])
    description, *passages = document.passages()
    assert (description.text, description.lines) == ("D", [])
    found = set()
    for passage in passages:
        assert len(passage.lines) <= 2 or len(passage.text) <= PASSAGE_CHARACTERS + 1
        ends = [*(place - 1 for place, _ in passage.lines[1:]), len(passage.text)]
        for (place, second), end in zip(passage.lines, ends, strict=True):
            assert passage.text[place:end] == " ".join(said[int(second) // 2].split())
            assert passage.second_at(place) == int(second)
            found.add(second)
    assert found == {2.0 * n for n, text in enumerate(said) if text.split()}


@pytest.mark.parametrize(("place", "second"), [(0, 0), (4, 0), (5, 4), (99, 9)])
def test_the_second_of_a_place(place: int, second: int) -> None:
    _, passage = Document("v", "T", "", [Line(0, "once"), Line(4.9, "upon"), Line(9, "a time")]).passages()
    assert passage.second_at(place) == second
