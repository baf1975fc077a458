"""The fifth step: a summary and key phrases, by an OpenAI-compatible endpoint if one is configured, else made here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from video_analysis.steps import join
from video_analysis.steps.engines import Segment
from video_analysis.steps.workspace import Workspace

ANALYSIS = "analysis.json"


@dataclass(frozen=True)
class Found:
    """What the video is about."""

    summary: str
    key_phrases: list[str]


class Analyst(Protocol):
    """Reads a transcript."""

    def analyse(self, transcript: Sequence[Segment]) -> Found:
        """Raises StepFailed or TryAgain."""
        ...


@dataclass(frozen=True)
class Choice:
    """What analysts are told by the settings."""

    name: str = "auto"
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    model: str = "gpt-4o-mini"
    timeout: float = 120.0


def name_of(choice: Choice) -> str:
    """The analyst that is meant. Raises ValueError for a name that none has."""
    if choice.name == "auto":
        return "openai" if choice.base_url or choice.api_key else "extractive"
    if choice.name not in ("openai", "extractive"):
        raise ValueError(f"There is no analyser {choice.name!r}; take one of auto, openai, extractive.")
    return choice.name


def is_remote(choice: Choice) -> bool:
    """Does the analyst wait for the network, rather than use this machine's processors?"""
    return name_of(choice) == "openai"


def analyst(choice: Choice) -> Analyst:
    """The analyst that is meant."""
    if name_of(choice) == "openai":
        from video_analysis.steps.chat import ChatAnalyst

        return ChatAnalyst(choice.base_url, choice.api_key, choice.model, choice.timeout)
    from video_analysis.steps.extractive import ExtractiveAnalyst

    return ExtractiveAnalyst()


def analyse(space: Workspace, by: Analyst) -> Found:
    """What `by` finds in the transcript. Raises what the analyst raises."""
    if space.has(ANALYSIS):
        return load(space)
    found = by.analyse(join.load(space))
    space.write_json(ANALYSIS, asdict(found))
    return found


def load(space: Workspace) -> Found:
    """The analysis that `analyse` made."""
    return Found(**space.read_json(ANALYSIS))
