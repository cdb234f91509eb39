"""The herd: how many handshakes may be in progress, by what was completed while clients came."""

from server.herd import BACKLOG, Herd


class Machine:
    """A clock, a CPU's and a number of handshakes that stand where a test puts them."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cpu = 5.0
        self.completed = 0
        self.herd = Herd(lambda: self.completed, lambda: self.now, lambda: self.cpu)

    def work(self, seconds: float, completed: int, cpu: float) -> None:
        self.now += seconds
        self.completed += completed
        self.cpu += cpu
        self.herd.measure()


def test_everybody_is_let_in_until_something_is_known() -> None:
    assert Machine().herd.has_room(1_000_000)


def test_room_is_for_as_many_as_a_second_of_cpu_time_completes() -> None:
    machine = Machine()
    machine.work(0.2, completed=50, cpu=0.05)
    assert 1000 == round(machine.herd.capacity)
    assert [True, False] == [machine.herd.has_room(in_progress) for in_progress in (999, 1001)]


def test_as_many_as_the_queue_holds_have_room_whatever_was_measured() -> None:
    machine = Machine()
    machine.work(0.5, completed=1, cpu=0.5)
    assert BACKLOG == machine.herd.capacity
    assert [True, False] == [machine.herd.has_room(in_progress) for in_progress in (BACKLOG - 1, BACKLOG)]


def test_no_cpu_time_is_no_measurement() -> None:
    machine = Machine()
    machine.work(0.2, completed=10, cpu=0.0)
    assert BACKLOG == machine.herd.capacity


def test_nothing_is_measured_over_too_little_time_and_it_adds_up() -> None:
    machine = Machine()
    for _ in range(9):
        machine.work(0.0101, completed=10, cpu=0.01)
        assert machine.herd.has_room(1_000_000)
    machine.work(0.0101, completed=10, cpu=0.01)
    assert 1000 == round(machine.herd.capacity)


def test_time_in_which_nobody_came_says_nothing() -> None:
    machine = Machine()
    machine.work(0.2, completed=400, cpu=0.2)
    # Sessions kept the loop busy for a minute.
    machine.work(60.0, completed=3, cpu=60.0)
    assert 2000 == round(machine.herd.capacity)
    # What it did then isn't counted into the next measurement.
    machine.work(0.2, completed=400, cpu=0.2)
    assert 2000 == round(machine.herd.capacity)


def test_past_fades() -> None:
    machine = Machine()
    machine.work(0.2, completed=2000, cpu=0.2)
    capacities = [machine.herd.capacity]
    for _ in range(100):
        machine.work(0.2, completed=100, cpu=0.2)
        capacities.append(machine.herd.capacity)
    assert sorted(capacities, reverse=True) == capacities
    assert 10_000 == round(capacities[0])
    assert 500 <= capacities[-1] < 600
