"""Secrets that must be read back, such as a channel's, are kept encrypted under SECRET_KEY."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.errors import ProsaasError

# Separate these keys from each other, though all are derived from the same SECRET_KEY.
PURPOSE = b"prosaas channel secrets"
KEYS_PURPOSE = b"prosaas channel keys"


class ForeignSecretError(ProsaasError):
    """A stored secret was encrypted under another SECRET_KEY, or is damaged."""


class Cipher:
    """Encrypts short texts with Fernet (AES-128-CBC and HMAC); its key comes from HKDF-SHA256."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(urlsafe_b64encode(_derive(secret_key, PURPOSE)))
        self._keys = _derive(secret_key, KEYS_PURPOSE)

    def encrypt(self, text: str) -> str:
        """Return ASCII that differs each time, about 100 characters longer than the text."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def decrypt(self, text: str) -> str:
        """Return what was encrypted; raise ForeignSecretError unless this key encrypted it."""
        try:
            return self._fernet.decrypt(text.encode()).decode()
        except InvalidToken:
            raise ForeignSecretError(
                "A stored secret cannot be read with this SECRET_KEY: start with the key it was "
                "stored under, or enter the secret again."
            ) from None

    def key_of(self, name: str) -> str:
        """Return the key of a name, 64 hex digits: always the same, and derived from SECRET_KEY alone."""
        return hmac.new(self._keys, name.encode(), hashlib.sha256).hexdigest()


def _derive(secret_key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret_key.encode())
