"""The journal keeps the newest events of all connections, and finds those of one."""

from server.journal import MAX_EVENTS, Event, Journal


def test_events_of_one_connection_come_oldest_first_with_their_times() -> None:
    times = iter([1.0, 2.0, 3.0])
    journal = Journal(lambda: next(times))
    journal.note("a", "paused")
    journal.note("b", "paused")
    journal.note("a", "resumed")
    assert [Event(1.0, "a", "paused"), Event(3.0, "a", "resumed")] == journal.of("a")
    assert [] == journal.of("c")


def test_oldest_event_goes_when_there_are_too_many() -> None:
    journal = Journal(lambda: 0.0)
    journal.note("a", "paused")
    for _ in range(MAX_EVENTS - 1):
        journal.note("b", "paused")
    assert 1 == len(journal.of("a"))
    journal.note("b", "paused")
    assert (0, MAX_EVENTS) == (len(journal.of("a")), len(journal.of("b")))
