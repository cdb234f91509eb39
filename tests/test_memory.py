"""How much memory a process may have, by what the system says about it."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import memory
from server.memory import available_memory
from server.service import Service
from server.settings import Settings

MIB = 1 << 20
# Less than any machine has that runs the tests.
LITTLE = 16 * MIB


@pytest.fixture(autouse=True)
def address_space() -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_without_groups_it_is_what_the_machine_has(tmp_path: Path) -> None:
    assert MIB < available_memory(tmp_path) <= available_memory(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("group", "files", "expected"),
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": "16777216\n"}, LITTLE),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/memory.max": "16777216\n"}, LITTLE),
        (
            "0::/a/b\n",
            {"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "16777216\n"},
            LITTLE,
        ),
        (
            "0::/a/b\n",
            {"sys/fs/cgroup/a/b/memory.max": "33554432\n", "sys/fs/cgroup/a/memory.max": "16777216\n"},
            LITTLE,
        ),
        (
            "5:cpu,memory:/a\n4:pids:/\n",
            {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "16777216\n"},
            LITTLE,
        ),
        (
            "5:memory:/a\n0::/\n",
            {"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n"},
            None,
        ),
        ("0::/a\n", {"sys/fs/cgroup/a/memory.max": "max\n"}, None),
        ("0::/elsewhere\n", {"sys/fs/cgroup/a/memory.max": "16777216\n"}, None),
        ("4:pids:/\n", {"sys/fs/cgroup/memory.max": "16777216\n"}, None),
    ],
)
def test_of_all_groups_around_the_process_the_least_holds(
    group: str, files: dict[str, str], expected: int | None, tmp_path: Path
) -> None:
    unlimited = available_memory(tmp_path / "nowhere")
    for name, text in {"proc/self/cgroup": group, **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert (expected or unlimited) == available_memory(tmp_path)


def test_a_limit_of_the_process_itself_holds_too(tmp_path: Path, address_space: int) -> None:
    # Far above what the tests take, and below what they would have.
    limit = available_memory(tmp_path) - 1
    resource.setrlimit(resource.RLIMIT_AS, (limit, address_space))
    assert limit == available_memory(tmp_path)


async def test_histories_take_no_more_than_a_quarter_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: LITTLE)
    hub = Service(Settings(port=0)).hub
    kept = 0
    for number in range(8):
        hub.publish(None, f"room-{number}", "x" * (MIB - 1000))
    for room in hub.rooms:
        kept += room.history.weight
    assert LITTLE // 8 < kept <= LITTLE // 4
