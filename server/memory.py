"""Memory: how much of it this process may have."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")
_MIB: Final = 1 << 20
# What an unlimited cgroup of version 1 says is larger than any machine.
_NO_LIMIT: Final = 1 << 60


def default_budget() -> int:
    """Return what queues and unfinished messages may take of it: a quarter, in whole MiB."""
    return max(_MIB, available_memory() // 4 // _MIB * _MIB)


def available_memory(root: Path = ROOT) -> int:
    """Return the octets that the machine, the control group or the process's own limit allows, the least."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_of_control_groups(root)]
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if address_space != resource.RLIM_INFINITY:
        limits.append(address_space)
    return min(limits)


def _of_control_groups(root: Path) -> Iterator[int]:
    """Find the limits of the group that the process is in, and of those around it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        # Not on Linux.
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            tree, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            tree, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = tree / path.lstrip("/")
        for folder in (group, *group.parents):
            yield from _read_limit(folder / name)
            if folder == tree:
                break


def _read_limit(file: Path) -> Iterator[int]:
    try:
        text = file.read_text().strip()
    except OSError:
        # A container may not see the groups around its own.
        return
    if text.isdecimal() and int(text) < _NO_LIMIT:
        yield int(text)
