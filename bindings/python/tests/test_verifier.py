"""Signatures."""

from __future__ import annotations

from typing import Any

import pytest
from gitops_brain import ConfigError, Fact, Ignored, SignatureError, Verifier, ingest, sign

from .samples import A, KEY, START, event


def test_a_signature_is_of_the_key_and_the_bytes() -> None:
    body = event()
    header = sign(KEY, body)
    assert header.startswith("sha256=") and len(header) == 71
    assert Verifier([KEY]).verify(header, body) == 0
    assert Verifier([KEY.decode()]).verify(header.encode(), body.decode()) == 0
    for place in range(0, len(body), 37):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(SignatureError) as caught:
            Verifier([KEY]).verify(header, changed)
        assert caught.value.code == "signature.mismatch"


def test_the_place_of_the_key_is_told_while_keys_change() -> None:
    verifier = Verifier(iter([b"the new key", KEY]))
    assert verifier.verify(sign(KEY, b"x"), b"x") == 1
    assert verifier.verify(sign("the new key", "x"), b"x") == 0


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "signature.missing"),
        ("", "signature.malformed"),
        ("sha256=12", "signature.malformed"),
        (b"\xff", "signature.malformed"),
        ("sha1=" + "0" * 40, "signature.unsupported_algorithm"),
        ("sha256=" + "0" * 64, "signature.mismatch"),
    ],
)
def test_what_is_wrong_with_a_header_is_told(header: Any, code: str) -> None:
    with pytest.raises(SignatureError) as caught:
        Verifier([KEY]).verify(header, b"x")
    assert caught.value.code == code
    with pytest.raises(SignatureError):
        ingest(Verifier([KEY]), "staging", header, event(), START)


@pytest.mark.parametrize(("keys", "code"), [([], "key.none"), ([b""], "key.empty")])
def test_keys_that_are_none_are_refused(keys: list[bytes], code: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Verifier(keys)
    assert caught.value.code == code
    with pytest.raises(ConfigError):
        sign(b"", b"x")


@pytest.mark.parametrize("keys", [KEY, KEY.decode(), 5, None, [5]])
def test_a_single_key_is_not_taken_for_many(keys: Any) -> None:
    with pytest.raises(TypeError):
        Verifier(keys)


def test_a_key_is_never_shown() -> None:
    assert KEY.decode() not in repr(Verifier([KEY]))


def test_ingest_gives_a_fact_or_says_why_not() -> None:
    verifier = Verifier([KEY])
    fact = ingest(verifier, "staging", sign(KEY, event()), event(), START)
    assert isinstance(fact, Fact)
    assert fact.at == START
    nothing = event(A).replace(b'"Kustomization"', b'"Alert"')
    ignored = ingest(verifier, "staging", sign(KEY, nothing), nothing, START)
    assert isinstance(ignored, Ignored)
    assert ignored.code and ignored.message
    with pytest.raises(ConfigError) as caught:
        ingest(verifier, "Not A Name", sign(KEY, event()), event(), START)
    assert caught.value.code == "cluster.malformed"
