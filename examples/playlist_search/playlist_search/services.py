"""What the program stands on, made once a process: settings, database, search, YouTube."""

from __future__ import annotations

import threading
from functools import cached_property

from playlist_search import search
from playlist_search.db import Database
from playlist_search.settings import Settings
from playlist_search.transcripts import Transcripts
from playlist_search.vault import Vault
from playlist_search.youtube import YouTube


class Services:
    """Each part is made when it is first asked for, the tables with the database."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._making = threading.RLock()

    @cached_property
    def db(self) -> Database:
        with self._making:
            if "db" not in self.__dict__:
                database = Database(self.settings.database())
                database.create()
                self.__dict__["db"] = database
            return self.__dict__["db"]  # type: ignore[no-any-return]

    @cached_property
    def search(self) -> search.Search:
        with self._making:
            if "search" not in self.__dict__:
                self.__dict__["search"] = search.choose(self.settings, self.db)
            return self.__dict__["search"]  # type: ignore[no-any-return]

    @cached_property
    def vault(self) -> Vault:
        return Vault(self.settings.secret())

    @cached_property
    def youtube(self) -> YouTube:
        return YouTube(self.settings)

    @cached_property
    def transcripts(self) -> Transcripts:
        return Transcripts(self.settings)

    def close(self) -> None:
        """Let go of connections."""
        for part in ("search", "youtube", "transcripts", "db"):
            if part in self.__dict__:
                self.__dict__.pop(part).close()


_current: Services | None = None
_choosing = threading.Lock()


def current() -> Services:
    """This process's services, made by the environment unless `use` said which."""
    global _current
    if _current is None:
        with _choosing:
            if _current is None:
                _current = Services(Settings.from_env())
    return _current


def use(services: Services | None) -> None:
    """Make these the process's services; None: ask the environment again. The ones before are closed."""
    global _current
    with _choosing:
        before, _current = _current, services
    if before is not None and before is not services:
        before.close()
