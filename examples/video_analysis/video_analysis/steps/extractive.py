"""An analysis without any model: the sentences that carry most of the topics (latent semantic analysis, by sumy), and
phrases that stand out by where and how often they occur (YAKE)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yake
from segtok.segmenter import split_single
from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
from sumy.summarizers.lsa import LsaSummarizer
from sumy.utils import get_stop_words

from video_analysis.steps.analyse import Found
from video_analysis.steps.engines import Segment

SENTENCES = 5
"""Of the summary, at most; of short texts a third."""
PHRASES = 10
_AT_A_TIME = 200
"""Sentences that are weighed together; the work grows faster than their number."""


class ExtractiveAnalyst:
    """For English."""

    def analyse(self, transcript: Sequence[Segment]) -> Found:
        sentences = sentences_of(transcript)
        return Found(" ".join(_sentence(one) for one in summary(sentences)), key_phrases(sentences))


def sentences_of(transcript: Sequence[Segment]) -> list[str]:
    """The sentences, for engines that set full stops; for others each utterance is one."""
    texts = [text for segment in transcript if (text := segment["text"].strip())]
    if any(text.endswith((".", "!", "?")) for text in texts):
        return [one for sentence in split_single(" ".join(texts)) if (one := sentence.strip())]
    return texts


def summary(sentences: Sequence[str]) -> list[str]:
    """The sentences that say most, in their order; of many, the best of each part of the text are weighed again."""
    count = min(SENTENCES, -(-len(sentences) // 3))
    while len(sentences) > _AT_A_TIME:
        parts = [sentences[start : start + _AT_A_TIME] for start in range(0, len(sentences), _AT_A_TIME)]
        sentences = [best for part in parts for best in _best(part, _AT_A_TIME // 10)]
    return _best(sentences, count)


def key_phrases(sentences: Sequence[str], count: int = PHRASES) -> list[str]:
    """The phrases of up to three words that stand out most, the best first; none that mostly repeats a better one."""
    asked = yake.KeywordExtractor(lan="en", n=3, top=5 * count)
    kept: list[str] = []
    for phrase, _ in asked.extract_keywords("\n".join(map(_sentence, sentences))):
        if not any(_overlap(phrase.lower(), better) for better in kept):
            kept.append(phrase.lower())
    return kept[:count]


def _overlap(phrase: str, other: str) -> bool:
    """Are most words of the shorter one in the longer one too?"""
    words, others = set(phrase.split()), set(other.split())
    return len(words & others) > min(len(words), len(others)) / 2


def _best(sentences: Sequence[str], count: int) -> list[str]:
    words = _Words()
    ranking = LsaSummarizer()
    ranking.stop_words = get_stop_words("english")
    document = ObjectDocumentModel([Paragraph([Sentence(text, words) for text in dict.fromkeys(sentences)])])
    found = [str(one) for one in ranking(document, count)]
    return found or list(sentences[:count])  # nothing but words such as "the" and "is"


class _Words:
    """A sentence's words. sumy's own tokenizers would load NLTK's data from the network."""

    def to_words(self, sentence: str) -> tuple[str, ...]:
        return tuple(re.findall(r"[^\W\d_][\w'’]*", sentence))


def _sentence(text: str) -> str:
    """An utterance with a capital at its beginning and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
