"""The numbers of the protocol are those of the RFC and of IANA's registries."""

from rfc6455.codes import CloseCode, Opcode, may_be_sent


def test_opcodes_are_those_of_section_11_8() -> None:
    expected = {"CONTINUATION": 0, "TEXT": 1, "BINARY": 2, "CLOSE": 8, "PING": 9, "PONG": 10}
    assert expected == {opcode.name: opcode.value for opcode in Opcode}


def test_close_codes_are_the_assigned_ones() -> None:
    assert {*range(1000, 1016)} - {1004} == set(CloseCode)


def test_codes_that_may_be_sent_are_the_assigned_and_the_private_ones() -> None:
    expected = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
    assert expected == {code for code in range(-1, 1 << 16) if may_be_sent(code)}
