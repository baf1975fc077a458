"""Engines that turn speech into text. One is chosen by name; each imports its library when it is first used."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypedDict


class Segment(TypedDict):
    """What was said between two moments, in seconds from the start; None where the engine does not say when."""

    start: float | None
    end: float | None
    text: str


class Engine(Protocol):
    """Hears one piece of sound."""

    def transcribe(self, sound: Path) -> list[Segment]:
        """What is said in `sound`, a WAV file of 16 kHz, mono, 16 bits. Nothing said: no segments.

        Raises StepFailed or TryAgain.
        """
        ...


@dataclass(frozen=True)
class Choice:
    """What engines are told by the settings."""

    name: str = "auto"
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    model: str = "whisper-1"
    whisper_model: str = "base"
    timeout: float = 120.0


NAMES: Final = ("openai", "faster-whisper", "pocketsphinx")


def name_of(choice: Choice) -> str:
    """The engine that is meant: with "auto" the endpoint if one is configured, else faster-whisper if it is installed,
    else PocketSphinx. Raises ValueError for a name that none has."""
    if choice.name in NAMES:
        return choice.name
    if choice.name != "auto":
        raise ValueError(f"There is no transcriber {choice.name!r}; take one of auto, {', '.join(NAMES)}.")
    if choice.base_url or choice.api_key:
        return "openai"
    return "faster-whisper" if importlib.util.find_spec("faster_whisper") else "pocketsphinx"


def is_remote(choice: Choice) -> bool:
    """Does the engine wait for the network, rather than use this machine's processors?"""
    return name_of(choice) == "openai"


def engine(choice: Choice) -> Engine:
    """The engine that is meant."""
    name = name_of(choice)
    if name == "openai":
        from video_analysis.steps.engines.openai_engine import OpenAIEngine

        return OpenAIEngine(choice.base_url, choice.api_key, choice.model, choice.timeout)
    if name == "faster-whisper":
        from video_analysis.steps.engines.faster_whisper_engine import FasterWhisper

        return FasterWhisper(choice.whisper_model)
    from video_analysis.steps.engines.pocketsphinx_engine import PocketSphinx

    return PocketSphinx()
