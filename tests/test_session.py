"""What every session has, whatever carries it."""

from server.session import SessionClosed


def test_end_of_a_session_bears_its_close_code() -> None:
    closed = SessionClosed(1013)
    assert (1013, "The session is closed (1013).") == (closed.code, str(closed))
