"""Secrets that are kept encrypted under SECRET_KEY."""

from __future__ import annotations

import pytest

from server.secrets import Cipher, ForeignSecretError


def test_a_secret_is_read_back_with_its_own_key():
    kept = Cipher("k" * 32).encrypt("סוד of the bridge")

    assert Cipher("k" * 32).decrypt(kept) == "סוד of the bridge"
    assert "bridge" not in kept


def test_the_same_secret_looks_different_each_time():
    cipher = Cipher("k" * 32)

    assert cipher.encrypt("one") != cipher.encrypt("one")


@pytest.mark.parametrize(
    "kept", ["", "damaged", Cipher("x" * 32).encrypt("secret")], ids=["empty", "damaged", "foreign"]
)
def test_what_another_key_encrypted_is_refused_with_what_to_do(kept):
    with pytest.raises(ForeignSecretError, match="SECRET_KEY"):
        Cipher("k" * 32).decrypt(kept)
