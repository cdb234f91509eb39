"""What every session has, whatever carries it."""

import pytest

from server.session import Session, SessionClosed
from server.tick import Tick
from tests.stage import LineDialect, Stage

DIALECT = LineDialect(Stage().hub)


class Half(Session):
    __slots__ = ()

    def deliver(self, tick: Tick) -> None:
        raise NotImplementedError


class Whole(Half):
    __slots__ = ()

    def send(self, message: str | bytes) -> None:
        raise NotImplementedError

    def close(self, code: int = 1000, reason: str = "") -> None:
        raise NotImplementedError

    def kick(self, code: int, reason: str) -> None:
        raise NotImplementedError

    def drained(self) -> None:
        return None

    def hold(self) -> None:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("kind", [Session, Half])
def test_session_without_a_carrier_cannot_be_made(kind: type[Session]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind("a", DIALECT, "192.0.2.1", None)


def test_session_is_who_it_is_and_has_nothing_to_send_at_first() -> None:
    session = Whole("a", DIALECT, "192.0.2.1", "alice")
    assert ("a", DIALECT, "192.0.2.1", "alice") == (
        session.id,
        session.dialect,
        session.address,
        session.user,
    )
    assert ([], False) == (session.out, session.is_dirty)


def test_no_two_sessions_share_a_list() -> None:
    first, second = Whole("a", DIALECT, "", None), Whole("b", DIALECT, "", None)
    first.out.append("hello")
    assert [] == second.out


def test_session_holds_no_dict_of_its_own() -> None:
    assert not hasattr(Whole("a", DIALECT, "", None), "__dict__")


def test_end_of_a_session_bears_its_close_code() -> None:
    closed = SessionClosed(1013)
    assert (1013, "The session is closed (1013).") == (closed.code, str(closed))
