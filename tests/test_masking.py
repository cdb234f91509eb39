"""Masking (5.3): each form gives what the RFC's formula gives, and refuses what the other refuses."""

from types import ModuleType
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfc6455 import masking
from tests.native import load_beside

KEY = bytes.fromhex("37fa213d")
OCTETS = bytes(range(256)) * 40


class Mask(Protocol):
    def __call__(self, data: bytes, start: int, stop: int, key: bytes, phase: int, /) -> bytes: ...


both_forms = pytest.mark.parametrize("mask", [masking.plain_mask, masking.mask], ids=["plain", "loaded"])


def formula(data: bytes, key: bytes, phase: int) -> bytes:
    # 5.3: transformed-octet-i = original-octet-i XOR masking-key-octet-j, where j = i MOD 4.
    return bytes(octet ^ key[(phase + i) % 4] for i, octet in enumerate(data))


@both_forms
def test_masked_hello_is_that_of_section_5_7(mask: Mask) -> None:
    frame = bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame[6:] == mask(b"Hello", 0, 5, KEY, 0)
    assert b"Hello" == mask(frame, 6, 11, KEY, 0)


@both_forms
@pytest.mark.parametrize("phase", range(5))
def test_every_length_and_phase_follows_the_formula(mask: Mask, phase: int) -> None:
    for length in [*range(301), *range(590, 610), 4095, 4096, 4097, 8191]:
        expected = formula(OCTETS[7 : 7 + length], KEY, phase)
        assert expected == mask(OCTETS, 7, 7 + length, KEY, phase)


@given(st.binary(max_size=2000), st.binary(min_size=4, max_size=4), st.integers(), st.data())
def test_both_forms_agree(data: bytes, key: bytes, phase: int, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data)))
    stop = draw.draw(st.integers(start, len(data)))
    plain = masking.plain_mask(data, start, stop, key, phase)
    assert plain == masking.mask(data, start, stop, key, phase)


@both_forms
@given(cut=st.integers(0, 50))
def test_phase_continues_a_payload_that_came_in_two_parts(mask: Mask, cut: int) -> None:
    parts = mask(OCTETS, 0, cut, KEY, 0) + mask(OCTETS, cut, 50, KEY, cut)
    assert mask(OCTETS, 0, 50, KEY, 0) == parts


@both_forms
@pytest.mark.parametrize(
    ("start", "stop"), [(-1, 4), (5, 4), (4, 9), (9, 9), (-(1 << 70), 4), (4, 1 << 70), (1 << 70, 1 << 70)]
)
def test_bounds_outside_the_data_are_refused(mask: Mask, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="bounds"):
        mask(b"12345678", start, stop, KEY, 0)


@both_forms
@pytest.mark.parametrize("key", [b"", b"123", b"12345"])
def test_key_that_has_not_four_octets_is_refused(mask: Mask, key: bytes) -> None:
    with pytest.raises(ValueError, match="four octets"):
        mask(b"12345678", 0, 8, key, 0)


@pytest.mark.skipif(not masking.NATIVE, reason="this build has no native functions")
@pytest.mark.parametrize(
    "arguments",
    [(), (bytearray(4), 0, 4, KEY, 0), (b"1234", 0, 4, bytearray(4), 0), (b"1234", "0", 4, KEY, 0)],
)
def test_native_mask_refuses_arguments_of_another_type(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        masking.mask(*arguments)  # type: ignore[arg-type]  # that is what is tested


def test_native_form_is_taken_where_it_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    native = ModuleType("rfc6455._native")
    vars(native).update(mask="native mask")
    loaded = load_beside(masking, native, monkeypatch)
    assert loaded.NATIVE
    assert "native mask" == loaded.mask


def test_plain_form_is_taken_where_it_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_beside(masking, ModuleType("rfc6455._native"), monkeypatch)
    assert not loaded.NATIVE
    assert loaded.plain_mask == loaded.mask
