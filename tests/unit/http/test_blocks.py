"""Unit tests of what lenient decoders let pass (proxy.http.blocks), held against the encoder and decoder of hpack."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.blocks import lawful

TEXTS = st.binary(max_size=300)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=20), st.booleans())
def test_what_encoders_make_is_lawful(fields, huffman):
    block = Encoder().encode(fields, huffman=huffman)
    assert lawful(block, fields)
    assert lawful(b"\x20" + block, fields), "a table size in front"
    assert not fields or not lawful(block + b"\x20", fields)


@given(st.binary(max_size=60))
def test_what_a_strict_decoder_takes_is_lawful(block):
    try:
        fields = Decoder().decode(block, raw=True)
    except HPACKError:
        return
    assert lawful(block, fields)


@pytest.mark.parametrize("value", (b"\x85\xf2\xb2\x4a\x84\xff", b"\x82\x1c\x00"))
def test_padding_that_is_none(value):
    assert not lawful(b"\x00\x01x" + value, [(b"x", b"")])
