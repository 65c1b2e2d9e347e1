"""The examples of AWS's own page on Signature Version 4 for S3, header by header."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from server.providers.s3_signing import NOTHING, Signer

SIGNER = Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
AT = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "examplebucket.s3.amazonaws.com"
WORDS = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"Range": "bytes=0-9"},
            NOTHING,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            WORDS,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
    ],
)
def test_the_vendors_examples_are_signed_as_the_vendor_signs_them(method, path, headers, content, signature):
    told = SIGNER.sign(method, host=HOST, path=path, at=AT, headers=headers, content_sha256=content)

    assert told["authorization"].endswith(f"Signature={signature}")
    assert "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," in told["authorization"]


def test_the_secret_is_never_printed():
    assert "wJalr" not in repr(SIGNER)
