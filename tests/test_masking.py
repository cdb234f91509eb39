"""Masking (5.3): each form gives what the RFC's formula gives, and refuses what the other refuses."""

import importlib.util
import sys
from types import ModuleType
from typing import NamedTuple, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfc6455 import masking

KEY = bytes.fromhex("37fa213d")
OCTETS = bytes(range(256)) * 40


class Mask(Protocol):
    def __call__(self, data: bytes, start: int, stop: int, key: bytes, phase: int, /) -> bytes: ...


class FramePayload(Protocol):
    def __call__(self, data: bytes, start: int, stop: int, /) -> bytes: ...


class FrameText(Protocol):
    def __call__(self, data: bytes, start: int, stop: int, /) -> str: ...


class Form(NamedTuple):
    mask: Mask
    frame_payload: FramePayload
    frame_text: FrameText


PLAIN = Form(masking.plain_mask, masking.plain_frame_payload, masking.plain_frame_text)
LOADED = Form(masking.mask, masking.frame_payload, masking.frame_text)

both_forms = pytest.mark.parametrize("form", [PLAIN, LOADED], ids=["plain", "loaded"])


def formula(data: bytes, key: bytes, phase: int) -> bytes:
    # 5.3: transformed-octet-i = original-octet-i XOR masking-key-octet-j, where j = i MOD 4.
    return bytes(octet ^ key[(phase + i) % 4] for i, octet in enumerate(data))


@both_forms
def test_masked_hello_is_that_of_section_5_7(form: Form) -> None:
    frame = bytes.fromhex("818537fa213d7f9f4d5158")
    assert frame[6:] == form.mask(b"Hello", 0, 5, KEY, 0)
    assert b"Hello" == form.frame_payload(frame, 6, 11)
    assert "Hello" == form.frame_text(frame, 6, 11)


@both_forms
@pytest.mark.parametrize("phase", range(5))
def test_every_length_and_phase_follows_the_formula(form: Form, phase: int) -> None:
    for length in [*range(301), *range(590, 610), 4095, 4096, 4097, 8191]:
        expected = formula(OCTETS[7 : 7 + length], KEY, phase)
        assert expected == form.mask(OCTETS, 7, 7 + length, KEY, phase)


@both_forms
@pytest.mark.parametrize("length", [0, 1, 7, 8, 125, 4095, 4096, 4097, 9000])
def test_key_of_a_frame_stands_before_its_payload(form: Form, length: int) -> None:
    text = ("grüße " * 2000).encode()[:length].decode(errors="ignore")
    payload = text.encode()
    frame = b"\x81\xfe" + KEY + formula(payload, KEY, 0) + b"next"
    assert payload == form.frame_payload(frame, 6, 6 + len(payload))
    assert text == form.frame_text(frame, 6, 6 + len(payload))


@given(st.binary(max_size=2000), st.binary(min_size=4, max_size=4), st.integers(), st.data())
def test_both_forms_agree(data: bytes, key: bytes, phase: int, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(data)))
    stop = draw.draw(st.integers(start, len(data)))
    assert PLAIN.mask(data, start, stop, key, phase) == LOADED.mask(data, start, stop, key, phase)
    frame = key + data
    expected = formula(data, key, 0)
    assert expected == PLAIN.frame_payload(frame, 4, len(frame)) == LOADED.frame_payload(frame, 4, len(frame))


@both_forms
@given(cut=st.integers(0, 50))
def test_phase_continues_a_payload_that_came_in_two_parts(form: Form, cut: int) -> None:
    parts = form.mask(OCTETS, 0, cut, KEY, 0) + form.mask(OCTETS, cut, 50, KEY, cut)
    assert form.mask(OCTETS, 0, 50, KEY, 0) == parts


@both_forms
@pytest.mark.parametrize(
    ("start", "stop"), [(-1, 4), (5, 4), (4, 9), (9, 9), (-(1 << 70), 4), (4, 1 << 70), (1 << 70, 1 << 70)]
)
def test_bounds_outside_the_data_are_refused(form: Form, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="bounds"):
        form.mask(b"12345678", start, stop, KEY, 0)
    with pytest.raises(ValueError, match="bounds"):
        form.frame_payload(b"12345678", start, stop)
    with pytest.raises(ValueError, match="bounds"):
        form.frame_text(b"12345678", start, stop)


@both_forms
@pytest.mark.parametrize("key", [b"", b"123", b"12345"])
def test_key_that_has_not_four_octets_is_refused(form: Form, key: bytes) -> None:
    with pytest.raises(ValueError, match="four octets"):
        form.mask(b"12345678", 0, 8, key, 0)


@both_forms
@pytest.mark.parametrize("start", range(4))
def test_payload_with_no_room_for_a_key_before_it_is_refused(form: Form, start: int) -> None:
    for data in (b"1234", b"12345678"):
        with pytest.raises(ValueError, match="four octets"):
            form.frame_payload(data, start, 4)
        with pytest.raises(ValueError, match="four octets"):
            form.frame_text(data, start, 4)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\x80", id="continuation alone"),
        pytest.param(b"abc\xe2\x82", id="cut short"),
        pytest.param(b"\xc0\xaf", id="overlong"),
        pytest.param(b"\xed\xa0\x80", id="surrogate"),
        pytest.param(b"\xf4\x90\x80\x80", id="beyond U+10FFFF"),
        pytest.param(b"a" * 5000 + b"\xff", id="after the buffer on the stack"),
    ],
)
def test_text_that_is_not_utf_8_is_refused_by_both_forms_alike(payload: bytes) -> None:
    frame = KEY + formula(payload, KEY, 0)
    with pytest.raises(UnicodeDecodeError) as plain:
        PLAIN.frame_text(frame, 4, len(frame))
    with pytest.raises(UnicodeDecodeError) as loaded:
        LOADED.frame_text(frame, 4, len(frame))
    assert plain.value.args == loaded.value.args


@pytest.mark.skipif(not masking.NATIVE, reason="this build has no native masking")
@pytest.mark.parametrize(
    "arguments",
    [(), (bytearray(4), 0, 4, KEY, 0), (b"1234", 0, 4, bytearray(4), 0), (b"1234", "0", 4, KEY, 0)],
)
def test_native_mask_refuses_arguments_of_another_type(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        masking.mask(*arguments)  # type: ignore[arg-type]  # that is what is tested


def load_beside(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "rfc6455._masking", native)
    spec = importlib.util.spec_from_file_location("rfc6455.masking", masking.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_native_form_is_taken_where_it_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    native = ModuleType("rfc6455._masking")
    vars(native).update(mask="native mask", frame_payload="native payload", frame_text="native text")
    loaded = load_beside(native, monkeypatch)
    assert loaded.NATIVE
    assert ("native mask", "native payload", "native text") == (
        loaded.mask,
        loaded.frame_payload,
        loaded.frame_text,
    )


def test_plain_form_is_taken_where_it_was_not(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_beside(ModuleType("rfc6455._masking"), monkeypatch)
    assert not loaded.NATIVE
    assert (loaded.plain_mask, loaded.plain_frame_payload, loaded.plain_frame_text) == (
        loaded.mask,
        loaded.frame_payload,
        loaded.frame_text,
    )
