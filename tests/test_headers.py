"""Header fields (RFC 9110, 5): the map keeps what came, the grammar takes what the RFC takes and no more."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rfc6455.errors import HandshakeError, StateError
from rfc6455.headers import (
    Extension,
    Headers,
    encode_fields,
    is_digits,
    is_field_value,
    is_path_and_query,
    is_token,
    list_members,
    parse_authority,
    parse_extensions,
    parse_fields,
    parse_token_list,
    unexpected,
)
from tests.vectors import work

FIELDS = [("Host", "a"), ("Cookie", "b"), ("COOKIE", "c")]


def test_headers_keep_order_and_spelling() -> None:
    headers = Headers(FIELDS)
    assert FIELDS == list(headers)
    assert 3 == len(headers)


def test_headers_are_found_in_any_case() -> None:
    headers = Headers(FIELDS)
    assert "a" == headers.get("hOST")
    assert "b" == headers.get("cookie")
    assert ["b", "c"] == headers.get_all("Cookie")
    assert ["a"] == headers.get_all("host")
    assert ["a"] == Headers(FIELDS[:1]).get_all("host")
    assert "b, c" == headers.joined("Cookie")
    assert "cookie" in headers


def test_headers_that_did_not_come_are_not_found() -> None:
    headers = Headers()
    assert None is headers.get("Host")
    assert [] == headers.get_all("Host")
    assert "" == headers.joined("Host")
    assert "Host" not in headers


def test_headers_know_whether_a_name_repeats() -> None:
    assert Headers(FIELDS).has_repeats()
    assert not Headers(FIELDS[:2]).has_repeats()
    assert ["cookie", "host"] == sorted(Headers(FIELDS).names())


def test_fields_are_cut_at_the_first_colon_and_trimmed_of_blanks_alone() -> None:
    assert [("A", "b:c\xa0"), ("D", "")] == list(parse_fields(["A: \t b:c\xa0 \t", "D:"]))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (" a: b", "leading-whitespace"),
        ("\ta: b", "leading-whitespace"),
        (" a", "leading-whitespace"),
        ("a", "missing-colon"),
        ("", "missing-colon"),
        ("a : b", "space-before-colon"),
        (": b", "field-name"),
        ("a b: c", "field-name"),
        ("a/b: c", "field-name"),
        ("\xe5: b", "field-name"),
    ],
)
def test_a_line_that_is_no_field_is_refused_by_its_own_rule(line: str, rule: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_fields(["Host: a", line, "no colon either"])
    assert (400, rule) == (caught.value.status, caught.value.rule)


def test_eight_thousand_equal_lines_cost_eight_times_a_thousand() -> None:
    def read(count: int) -> None:
        headers = parse_fields(["A: b"] * count)
        assert count == len(headers.get_all("a"))

    assert work(lambda: read(8000)) <= 8 * work(lambda: read(1000))


def test_what_came_is_quoted_short_and_safe_to_print() -> None:
    error = unexpected("a token", "\x1b[2J" + "\xe5" * 100, "rule", "9110 5.6.2")
    assert str(error).isascii()
    assert str(error).isprintable()
    assert 28 == str(error).count("\\xe5")
    assert "Expected a token, received 'abc'." == str(unexpected("a token", "abc", "rule", "1"))


@given(st.characters())
def test_a_token_is_made_of_its_characters(character: str) -> None:
    alphabet = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert (character in alphabet) == is_token(f"a{character}b")


@pytest.mark.parametrize(("text", "expected"), [("", False), ("a", True), ("a b", False), ("a\n", False)])
def test_a_token_is_whole(text: str, expected: bool) -> None:
    assert expected == is_token(text)


@given(st.characters())
@example("\t")
@example("\x7f")
@example("\x85")
@example("\u0100")
def test_a_field_value_has_no_control_and_nothing_beyond_latin_1(character: str) -> None:
    expected = character == "\t" or " " <= character < "\x7f" or "\x80" <= character <= "\xff"
    assert expected == is_field_value(f"a{character}b")


@pytest.mark.parametrize("text", ["/", "/a/b;c?d=e/?f", "/%41%ff", "/?%5B%5d"])
def test_a_path_and_query_of_their_own_characters(text: str) -> None:
    assert is_path_and_query(text)


@pytest.mark.parametrize(
    "text", ["", "a", "?", "/#", "/ ", "/\xe5", "/[", "/%", "/%4", "/%4g", "/%%41", "/%\u0664\u0661"]
)
def test_no_path_and_query_of_others(text: str) -> None:
    assert not is_path_and_query(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", ("localhost", None)),
        ("localhost:", ("localhost", None)),
        ("localhost:80", ("localhost", 80)),
        ("a%2d:0", ("a%2d", 0)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
        ("[::1]", ("::1", None)),
        ("[::1]:", ("::1", None)),
        ("[::ffff:127.0.0.1]:8765", ("::ffff:127.0.0.1", 8765)),
        ("", None),
        (":80", None),
        ("a b", None),
        ("a@b", None),
        ("a%2", None),
        ("a:b", None),
        ("a:1:2", None),
        ("a:\u0663", None),
        ("a:65536", None),
        ("a:000080", None),
        ("[::1", None),
        ("[::1]80", None),
        ("[::1]:80:80", None),
        ("[:::1]", None),
        ("[fe80::1%eth0]", None),
        ("[v1.a]", None),
        ("::1", None),
    ],
)
def test_an_authority_is_a_host_and_perhaps_a_port(
    text: str, expected: tuple[str, int | None] | None
) -> None:
    assert expected == parse_authority(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", True),
        ("0123456789", True),
        ("", False),
        ("+1", False),
        ("1_0", False),
        ("\u0663", False),
        ("\xb2", False),
    ],
)
def test_digits_are_those_of_ascii(text: str, expected: bool) -> None:
    assert expected == is_digits(text)


@pytest.mark.parametrize(
    ("values", "members", "tokens"),
    [
        (["a, b"], ["a", "b"], ["a", "b"]),
        (["a", "b"], ["a", "b"], ["a", "b"]),
        ([" ,a,, \t,b,"], ["a", "b"], ["a", "b"]),
        (["a b"], ["a b"], None),
        (["a, b/c"], ["a", "b/c"], None),
        ([","], [], None),
        ([], [], None),
    ],
)
def test_a_list_has_its_members_on_one_line_or_many(
    values: list[str], members: list[str], tokens: list[str] | None
) -> None:
    assert members == list_members(values)
    assert tokens == parse_token_list(values)


def test_a_list_contains_a_whole_token_in_any_case() -> None:
    assert Headers([("A", "UpGrade")]).lists("a", "upgrade")
    assert Headers([("A", "keep-alive"), ("a", "b, UpGrade")]).lists("a", "upgrade")
    assert not Headers([("A", "keep-alive, notupgrade"), ("A", "upgrade2")]).lists("a", "upgrade")
    assert not Headers([("B", "upgrade")]).lists("a", "upgrade")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["foo"], [("foo", [])]),
        (["foo; a; b=1"], [("foo", [("a", None), ("b", "1")])]),
        (["foo;a = 1 , bar"], [("foo", [("a", "1")]), ("bar", [])]),
        (["foo", "bar"], [("foo", []), ("bar", [])]),
        ([",foo,,"], [("foo", [])]),
        (['foo; a="10"'], [("foo", [("a", "10")])]),
        (['foo; a="b\\c" ; d, bar; e="f"'], [("foo", [("a", "bc"), ("d", None)]), ("bar", [("e", "f")])]),
        ([], None),
        (["foo;"], None),
        (["foo bar"], None),
        (["foo; a="], None),
        (['foo; a="x,y"'], None),
        (['foo; a="b\\"'], None),
        (['foo; a="b" c'], None),
        (['foo; a="b"c'], None),
        (['foo; a="b"c;d="e"'], None),
        ([',foo; a="bc'], None),
        (['foo; a="b\\\\c"'], None),
        (['foo; a="b" c="d"'], None),
        (['foo "a"'], None),
    ],
)
def test_extensions_are_read_with_their_parameters(
    values: list[str], expected: list[Extension] | None
) -> None:
    assert expected == parse_extensions(values)


@pytest.mark.parametrize(
    "piece", ["b ", ";", ",", '"', "\\", '="', '"\\\\', ";a=", 'a="b";', ",a;b=c", 'a;b="\\c",', "\t", "="]
)
def test_hostile_extensions_cost_in_proportion_to_their_length(piece: str) -> None:
    def read(length: int) -> None:
        parse_extensions(["foo; a=" + piece * (length // len(piece))])

    assert work(lambda: read(64 * 1024)) <= 8 * work(lambda: read(8 * 1024)) + 8


def test_many_extension_lines_cost_in_proportion_to_their_number() -> None:
    assert work(lambda: parse_extensions(["foo"] * 8000)) <= 8 * work(
        lambda: parse_extensions(["foo"] * 1000)
    )


token = st.text("abc-10", min_size=1)
extensions = st.lists(
    st.tuples(token, st.lists(st.tuples(token, st.none() | token))).map(lambda pair: (pair[0], pair[1])),
    min_size=1,
)


@given(extensions, st.data())
def test_extensions_mean_the_same_quoted_or_not(wanted: list[Extension], data: st.DataObject) -> None:
    blank = st.sampled_from(["", " ", "\t "])

    def write(value: str) -> str:
        escaped = "".join(data.draw(st.sampled_from(["", "\\"])) + character for character in value)
        return data.draw(st.sampled_from([value, f'"{escaped}"']))

    members = []
    for name, parameters in wanted:
        parts = [name]
        for key, value in parameters:
            parts.append(
                key if value is None else f"{key}{data.draw(blank)}={data.draw(blank)}{write(value)}"
            )
        members.append(f"{data.draw(blank)};{data.draw(blank)}".join(parts))
    assert wanted == parse_extensions([f"{data.draw(blank)},{data.draw(blank)}".join(members)])


@given(st.text('ab =;,"\\\t'))
def test_any_text_is_a_list_of_extensions_or_none(text: str) -> None:
    found = parse_extensions([text])
    assert found is None or all(is_token(name) for name, _ in found)


def test_fields_are_written_as_they_are_read() -> None:
    lines = encode_fields([("A", "b"), ("C", "\xe5\td")])
    assert "A: b\r\nC: \xe5\td\r\n" == lines
    assert [("A", "b"), ("C", "\xe5\td")] == list(parse_fields(lines.split("\r\n")[:-1]))


@pytest.mark.parametrize(
    "field",
    [
        ("", "b"),
        ("a b", "c"),
        ("a\r\n", "b"),
        ("a", "b\r\nc: d"),
        ("a", "b\n"),
        ("a", "\0"),
        ("a", "\u0100"),
        ("Host", "a"),
    ],
)
def test_a_field_that_cannot_be_sent_is_the_callers_mistake(field: tuple[str, str]) -> None:
    with pytest.raises(StateError):
        encode_fields([("X", "y"), field], frozenset({"host"}))
