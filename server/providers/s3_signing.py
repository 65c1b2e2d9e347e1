"""Signing a request to an S3-compatible storage: AWS Signature Version 4.

docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html; the tests hold that page's examples.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

NOTHING = hashlib.sha256(b"").hexdigest()
ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Signer:
    """A key to a storage, in one region."""

    key_id: str
    secret: str = field(repr=False)
    region: str

    def sign(
        self,
        method: str,
        *,
        host: str,
        path: str,
        at: datetime,
        headers: Mapping[str, str] | None = None,
        content_sha256: str = NOTHING,
    ) -> dict[str, str]:
        """Return the headers of a signed request; `path` is not encoded yet, `at` is aware UTC."""
        moment = f"{at:%Y%m%dT%H%M%SZ}"
        told = {name.lower(): value.strip() for name, value in (headers or {}).items()} | {
            "host": host,
            "x-amz-content-sha256": content_sha256,
            "x-amz-date": moment,
        }
        names = ";".join(sorted(told))
        lines = "".join(f"{name}:{told[name]}\n" for name in sorted(told))
        request = f"{method}\n{encoded(path)}\n\n{lines}\n{names}\n{content_sha256}"
        scope = f"{at:%Y%m%d}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = _hmac(self._key(at), f"{ALGORITHM}\n{moment}\n{scope}\n{digest}").hex()
        credential = f"Credential={self.key_id}/{scope}"
        return told | {
            "authorization": f"{ALGORITHM} {credential},SignedHeaders={names},Signature={signature}"
        }

    def _key(self, at: datetime) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in (f"{at:%Y%m%d}", self.region, "s3", "aws4_request"):
            key = _hmac(key, part)
        return key


def encoded(path: str) -> str:
    """Return a path as it is signed and sent: every byte but A-Z a-z 0-9 - _ . ~ and / as %XX."""
    return quote(path, safe="/~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
