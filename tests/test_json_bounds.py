"""JSON at its bounds: depth and number, whatever stands in its strings, held against the standard library."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.json_bounds import JsonBounds
from server.refusal import Refusal

TOO_DEEP = "Nested more than 4 levels deep."
TOO_MANY = "More than 6 names, objects and arrays."


def judge(text: str, *, depth: int = 4, keys: int = 1000) -> str | None:
    try:
        JsonBounds(depth, keys).check(text)
    except Refusal as refusal:
        return str(refusal)
    return None


@pytest.mark.parametrize(("depth", "expected"), [(3, None), (4, None), (5, TOO_DEEP), (100_000, TOO_DEEP)])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("inside", ["1", '"' + "[{" * 50 + '"', r'"\"[[[[\\"', "", '"a","b"'])
def test_nesting_is_counted_outside_of_strings(
    depth: int, expected: str | None, opening: str, closing: str, inside: str
) -> None:
    if len(opening) == 6:
        depth, inside = depth // 2, inside if depth % 2 == 0 else f"[{inside}]"
    assert expected == judge(opening * depth + inside + closing * depth, keys=1_000_000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[[],[],[],[]]", None),
        ("[[],[],[],[],[]]", None),
        ("[[],[],[],[],[],[]]", TOO_MANY),
        ('{"a":1,"b":1,"c":1,"d":1}', None),
        ('{"a":1,"b":1,"c":1,"d":1,"e":1}', None),
        ('{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}', TOO_MANY),
        ('{"a":{"b":{"c":1}}}', None),
        ('{"a":{"b":{"c":{}}}}', TOO_MANY),
        ('{"a":"::::::::::::"}', None),
        (r'{"a\"":"\"::::::::::::"}', None),
        (r'{"a\\":"b","c\\\"":"::::::::"}', None),
        ("[" + "1," * 1000 + "1]", None),
    ],
)
def test_names_objects_and_arrays_are_counted_outside_of_strings(text: str, expected: str | None) -> None:
    assert expected == judge(text, keys=6)


@pytest.mark.parametrize("text", ["", "]", "[", "]]]]" + "[" * 1000, '"', "\\" * 100, '["' * 40, "{" * 4])
def test_what_is_no_json_is_left_to_the_decoder(text: str) -> None:
    assert judge(text) is None or text.startswith('["')


@given(
    st.recursive(st.text('a"\\[]{}:,'), lambda one: st.lists(one) | st.dictionaries(st.text('"\\[:'), one))
)
def test_every_value_is_judged_by_what_it_holds(value: Any) -> None:
    depth, keys = measure(value)
    for text in (json.dumps(value), json.dumps(value, indent=1)):
        for excess in (0, 1):
            is_fine = judge(text, depth=max(1, depth - excess)) is None
            assert is_fine == (depth <= max(1, depth - excess))
            is_fine = judge(text, depth=1000, keys=max(1, keys - excess)) is None
            assert is_fine == (keys <= max(1, keys - excess))


def measure(value: Any) -> tuple[int, int]:
    """Depth, and number of names, objects and arrays."""
    if isinstance(value, str):
        return 0, 0
    measured = [measure(one) for one in (value.values() if isinstance(value, dict) else value)]
    names = len(value) if isinstance(value, dict) else 0
    return 1 + max((depth for depth, _ in measured), default=0), 1 + names + sum(keys for _, keys in measured)


@pytest.mark.parametrize(
    "text",
    ["[" * (1 << 20), '["' * (1 << 19), "[" * 65 + '"",' * 349_000, '{"a":' * 200_000, "[]" * (1 << 19)],
    ids=lambda text: text[:3],
)
def test_memory_stays_in_proportion_to_the_text(text: str) -> None:
    tracemalloc.start()
    try:
        judge(text, depth=64, keys=10_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32 * len(text)
