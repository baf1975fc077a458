"""From sound to words, and what the words are about: PocketSphinx, sumy and YAKE for real, OpenAI's client against a
stand-in."""

from __future__ import annotations

import importlib.util
import itertools
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.video_analysis import speech
from tests.examples.video_analysis.elsewhere import Endpoint, endpoint
from video_analysis.steps import analyse, audio, engines, extractive, join, transcribe
from video_analysis.steps.chat import ChatAnalyst, found_in
from video_analysis.steps.engines import Choice, Segment
from video_analysis.steps.engines.openai_engine import OpenAIEngine
from video_analysis.steps.engines.pocketsphinx_engine import PocketSphinx
from video_analysis.steps.errors import StepFailed, TryAgain
from video_analysis.steps.workspace import Workspace


@pytest.fixture
def service() -> Iterator[Endpoint]:
    with endpoint() as made:
        yield made
        assert made.wrong == []


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    return speech.wav(tmp_path, "-f", "lavfi", "-t", "2", "-i", "sine=f=440")


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    """With two pieces, of which none has its words."""
    made = Workspace(tmp_path / "work", "one")
    made.create()
    pieces = [audio.Piece(f"piece-{n:04}.wav", n * 2.0, n * 2.0 + 2.0) for n in range(2)]
    for piece in pieces:
        with wave.open(str(made.path(piece.name)), "wb") as writer:
            writer.setparams((1, 2, 16000, 0, "NONE", "not compressed"))
            writer.writeframes(bytes(64_000))
    made.write_json("pieces.json", {"seconds": 4.0, "pieces": [vars(piece) for piece in pieces]})
    return made


def said(*texts: str) -> list[Segment]:
    return [Segment(start=float(n), end=n + 1.0, text=text) for n, text in enumerate(texts)]


# -- engines ----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_pocketsphinx_hears_what_is_said(tmp_path: Path) -> None:
    sentence = speech.wav(tmp_path, "-t", "4.1", "-i", str(speech.speech(tmp_path)))
    segments = PocketSphinx().transcribe(sentence)
    assert len(segments) >= 1
    assert speech.share_of_words(" ".join(one["text"] for one in segments), speech.SENTENCES[:1]) >= 0.7
    assert segments[0]["start"] is not None
    assert segments[-1]["end"] is not None
    assert 0 <= segments[0]["start"] < segments[-1]["end"] <= 4.2


def test_pocketsphinx_hears_nothing_in_silence(tmp_path: Path) -> None:
    assert PocketSphinx().transcribe(speech.wav(tmp_path, "-f", "lavfi", "-t", "2", "-i", "anullsrc")) == []


def test_which_engine_is_meant() -> None:
    local = "faster-whisper" if importlib.util.find_spec("faster_whisper") else "pocketsphinx"
    assert engines.name_of(Choice()) == local
    assert engines.name_of(Choice(base_url="http://127.0.0.1:9/v1")) == "openai"
    assert engines.name_of(Choice(name="pocketsphinx", api_key="sk")) == "pocketsphinx"
    assert engines.is_remote(Choice(api_key="sk"))
    assert not engines.is_remote(Choice())
    with pytest.raises(ValueError, match="take one of auto, openai"):
        engines.engine(Choice(name="whisper"))
    assert isinstance(engines.engine(Choice(name="openai")), OpenAIEngine)
    assert "sk-secret" not in repr(Choice(api_key="sk-secret"))


def test_the_endpoint_gets_the_sound_and_the_key(service: Endpoint, sound: Path) -> None:
    segments = OpenAIEngine(service.url, "sk-test", "whisper-1").transcribe(sound)
    assert segments == [Segment(start=0.5, end=1.5, text="We sell more boats than ever.")]
    assert service.asked == [{"model": "whisper-1", "seconds": 2.0}]


def test_an_endpoint_that_says_no_times(service: Endpoint, sound: Path) -> None:
    service.timed = False
    segments = OpenAIEngine(service.url, "sk-test", "m").transcribe(sound)
    assert segments == [Segment(start=None, end=None, text="We sell more boats than ever.")]


def test_an_endpoint_that_hears_nothing(service: Endpoint, sound: Path) -> None:
    service.says = [""]
    assert OpenAIEngine(service.url, "sk-test", "m").transcribe(sound) == []


def test_a_busy_endpoint_is_asked_again_when_it_says(service: Endpoint, sound: Path) -> None:
    service.refusals = [(429, {"Retry-After": "12"}, b"{}"), (503, {}, b"")]
    engine = OpenAIEngine(service.url, "sk-test", "m")
    with pytest.raises(TryAgain, match="busy") as caught:
        engine.transcribe(sound)
    assert caught.value.after == 12.0
    with pytest.raises(TryAgain) as caught:
        engine.transcribe(sound)
    assert caught.value.after is None
    assert len(engine.transcribe(sound)) == 1


def test_a_wrong_key_is_no_passing_trouble(service: Endpoint, sound: Path) -> None:
    service.refusals = [(401, {}, b'{"error": {"message": "the key sk-wrong is not known"}}')]
    with pytest.raises(StepFailed, match="refused") as caught:
        OpenAIEngine(service.url, "sk-wrong", "m").transcribe(sound)
    assert "sk-wrong" not in str(caught.value)


def test_an_endpoint_that_is_away(sound: Path) -> None:
    with pytest.raises(TryAgain, match="could not be reached"):
        OpenAIEngine("http://127.0.0.1:1/v1", "sk", "m").transcribe(sound)


# -- pieces -----------------------------------------------------------------------------------------------------------
class Counting:
    """An engine that counts what it is asked for."""

    def __init__(self, segments: list[Segment]) -> None:
        self.segments, self.asked = segments, 0

    def transcribe(self, sound: Path) -> list[Segment]:
        self.asked += 1
        return self.segments


def test_words_get_the_times_of_the_whole_video_and_are_kept(space: Workspace) -> None:
    engine = Counting([Segment(start=0.25, end=1.5, text="hello")])
    assert transcribe.done(space) == (0, 2)
    assert transcribe.transcribe(space, 1, engine) == [Segment(start=2.25, end=3.5, text="hello")]
    assert transcribe.transcribe(space, 1, engine) == [Segment(start=2.25, end=3.5, text="hello")]
    assert engine.asked == 1
    assert transcribe.done(space) == (1, 2)
    whole = Counting([Segment(start=None, end=None, text="good morning")])
    assert transcribe.transcribe(space, 0, whole) == [Segment(start=0.0, end=2.0, text="good morning")]
    assert [one["text"] for one in join.join(space)] == ["good morning", "hello"]


def test_nothing_is_joined_before_all_is_there_or_when_nothing_was_said(space: Workspace) -> None:
    transcribe.transcribe(space, 0, Counting([]))
    with pytest.raises(StepFailed, match="removed meanwhile"):
        join.join(space)
    transcribe.transcribe(space, 1, Counting([]))
    with pytest.raises(StepFailed, match="No speech"):
        join.join(space)


# -- analysis ---------------------------------------------------------------------------------------------------------
SPEECH = (
    "Small boats cross the lake every morning. The lake feeds three villages with fish. Fishing boats on the lake need "
    "new engines. My uncle likes cheese. Electric engines for fishing boats are quiet and clean. The villages plan to "
    "buy electric engines for all fishing boats on the lake. Dr. Miller came by train."
)


def test_a_summary_is_of_sentences_that_were_said_and_leaves_out_the_rest() -> None:
    found = extractive.ExtractiveAnalyst().analyse(said(SPEECH))
    chosen = [one for one in extractive.sentences_of(said(SPEECH)) if one in found.summary]
    assert found.summary == " ".join(chosen)
    assert len(chosen) == 3, "a third"
    assert "electric engines for all fishing boats" in found.summary
    assert "uncle likes cheese" not in found.summary
    assert any("fishing boats" in phrase for phrase in found.key_phrases)
    assert len(found.key_phrases) <= extractive.PHRASES


def test_key_phrases_do_not_say_the_same_again() -> None:
    said_so = ["The company reported strong sales.", "Strong sales of oil.", "The price of oil is falling in China."]
    found = [phrase.split() for phrase in extractive.key_phrases(said_so)]
    assert len(found) > 2
    for one, other in itertools.combinations(found, 2):
        assert len(set(one) & set(other)) <= min(len(one), len(other)) / 2, (one, other)


def test_sentences_are_utterances_where_nobody_sets_full_stops() -> None:
    assert extractive.sentences_of(said("good morning", " ", "how are you")) == ["good morning", "how are you"]
    assert extractive.sentences_of(said("Dr. Miller", "is here. She", "waits.")) == [
        "Dr. Miller is here.",
        "She waits.",
    ]
    found = extractive.ExtractiveAnalyst().analyse(said("good morning"))
    assert found.summary == "Good morning."
    assert extractive.ExtractiveAnalyst().analyse(said("it is", "and so on")).summary == "It is."


def test_long_texts_are_summed_up_in_parts() -> None:
    names = ["".join("bdfglmnprs"[int(digit)] + "a" for digit in str(number)) for number in range(100, 551)]
    sentences = [f"The {one} lies beside {other}." for one, other in itertools.pairwise(names)]
    assert len(sentences) == 450
    found = extractive.summary(sentences)
    assert len(found) == extractive.SENTENCES
    assert found == sorted(found, key=sentences.index)


def test_a_model_is_asked_for_json(service: Endpoint, space: Workspace) -> None:
    space.write_json(join.TRANSCRIPT, said("We sell boats.", "Many boats."))
    analyst = ChatAnalyst(service.url, "sk-test", "small-model")
    found = analyse.analyse(space, analyst)
    assert found == analyse.Found("It is about boats.", ["boats", "new boats"])
    assert analyse.analyse(space, analyst) == found
    (asked,) = service.asked
    assert asked["model"] == "small-model"
    assert asked["messages"][1]["content"] == "We sell boats.\nMany boats."


@pytest.mark.parametrize(
    "content", [None, "", "It is about boats.", "[]", '{"summary": "x"}', '{"summary": "", "key_phrases": []}']
)
def test_an_answer_that_is_not_as_asked_for_is_asked_for_again(content: str | None) -> None:
    with pytest.raises(TryAgain, match="cannot be read"):
        found_in(content)


def test_which_analyst_is_meant() -> None:
    assert isinstance(analyse.analyst(analyse.Choice()), extractive.ExtractiveAnalyst)
    assert isinstance(analyse.analyst(analyse.Choice(base_url="http://127.0.0.1:9/v1")), ChatAnalyst)
    with pytest.raises(ValueError, match="take one of auto, openai, extractive"):
        analyse.analyst(analyse.Choice(name="gpt"))
