"""OAuth tokens at rest: encrypted, with a key that is made of the program's secret."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Sealed(Exception):
    """What was kept cannot be read with this secret."""


class Vault:
    """Seals and opens small things for the database."""

    def __init__(self, secret: str) -> None:
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=b"playlist_search: tokens at rest").derive(secret.encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, token: dict[str, Any]) -> str:
        """The token as text that tells nothing."""
        return self._fernet.encrypt(json.dumps(token).encode()).decode()

    def open(self, sealed: str) -> dict[str, Any]:
        """The token again. Raises Sealed when the secret has changed since, or there is none."""
        try:
            opened: dict[str, Any] = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise Sealed("The access that was granted cannot be read any more; log in again.") from None
        return opened
