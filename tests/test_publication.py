"""What a publication is, and what its payload counts for."""

import msgspec
import pytest

from server.publication import PUBLICATION_OVERHEAD, Kind, Missed, Payload, Publication, Replay, weight_of


def publication(payload: Payload = "hello") -> Publication:
    return Publication(
        kind=Kind.MESSAGE,
        room="general",
        id=7,
        offset=1,
        time=1_700_000_000.5,
        published_at=100.0,
        sender="s1",
        user="alice",
        payload=payload,
        weight=weight_of(payload),
    )


def test_kinds_have_their_names_on_the_wire() -> None:
    assert ["message", "broadcast", "direct"] == [kind.value for kind in Kind]


def test_two_equal_publications_are_two_messages() -> None:
    first, second = publication(), publication()
    assert first != second
    assert 2 == len({first, second})


@pytest.mark.parametrize(
    ("payload", "size"),
    [
        ("", 0),
        ("hello", 5),
        ("\x7f", 1),
        ("\x80", 2),
        ("grüße", 7),
        ("€", 3),
        ("a\U0001f600", 5),
        (b"", 0),
        (b"\x00\xff", 2),
        (msgspec.Raw(b""), 0),
        (msgspec.Raw(b'{"a":1}'), 7),
        (msgspec.Raw('"grüße"'.encode()), 9),
        (msgspec.Raw('"grüße"'), 9),
    ],
)
def test_payload_counts_for_its_octets(payload: Payload, size: int) -> None:
    assert PUBLICATION_OVERHEAD + size == weight_of(payload)


def test_a_part_of_a_message_counts_for_itself_alone() -> None:
    whole = b'{"message":"hello","more":[1,2,3]}'
    parts = msgspec.json.decode(whole, type=dict[str, msgspec.Raw])
    assert [PUBLICATION_OVERHEAD + 7] * 2 == [weight_of(part) for part in parts.values()]


def test_a_text_that_utf_8_cannot_hold_is_its_publishers_mistake() -> None:
    with pytest.raises(UnicodeEncodeError):
        weight_of("\ud800")


def test_what_is_shared_tells_what_it_is_about() -> None:
    published, note = publication(), Missed("a", 2)
    assert published is Replay(published).publication
    assert ("a", 2) == (note.room, note.count)
