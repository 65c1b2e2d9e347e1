"""Secrets that must be read back, such as a channel's, are kept encrypted under SECRET_KEY."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from server.errors import ProsaasError

# Separates this key from others that may be derived from the same SECRET_KEY.
PURPOSE = b"prosaas channel secrets"


class ForeignSecretError(ProsaasError):
    """A stored secret was encrypted under another SECRET_KEY, or is damaged."""


class Cipher:
    """Encrypts short texts with Fernet (AES-128-CBC and HMAC); its key comes from HKDF-SHA256."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(_derive(secret_key))

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


def _derive(secret_key: str) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(secret_key.encode())
    return urlsafe_b64encode(derived)
