"""What is told of the process is what the system says."""

import os
import time

import pytest

from server.process import Process


def values() -> dict[str, float]:
    return {sample.name: sample.value for family in Process().collect() for sample in family.samples}


def test_start_and_cpu_time_are_told() -> None:
    before = time.process_time()
    told = values()
    assert before <= told["process_cpu_seconds_total"] <= time.process_time() + 0.1
    assert time.time() - 60 < told["process_start_time_seconds"] <= time.time()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="there is no /proc")
def test_memory_and_descriptors_are_told_where_there_is_a_proc() -> None:
    told = values()
    assert told["process_resident_memory_bytes"] > 1 << 20
    if "process_open_fds" not in told:
        pytest.skip("this Linux doesn't count descriptors")
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(10)]
    try:
        assert told["process_open_fds"] + 10 == values()["process_open_fds"]
    finally:
        for descriptor in opened:
            os.close(descriptor)
    assert told["process_open_fds"] <= told["process_max_fds"]
