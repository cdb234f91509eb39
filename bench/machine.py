"""The machine: what is measured on it, its cores, how many connections it allows."""

import os
import platform
import resource
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import rfc6455
from bench.servers import Server

# A server's own descriptors, and those that ours keeps back.
_SPARE_DESCRIPTORS: Final = 400


def describe_machine(servers: Iterable[Server]) -> str:
    """Say what the figures depend on."""
    try:
        loop = f"uvloop {version('uvloop')}"
    except PackageNotFoundError:
        loop = "asyncio alone"
    parts = [f"Python {platform.python_version()}", loop, f"{os.cpu_count()} cores"]
    parts.append(f"rfc6455: {rfc6455.BUILD}")
    parts += [f"{server.needs.removeprefix('npm:')} {server.version}" for server in servers if server.version]
    return ", ".join(dict.fromkeys(parts))


def choose_cores() -> tuple[int | None, int | None]:
    """One core for the server, one for the generator, neither where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        print("Only one core: the server and the generator share it, so read nothing but per-CPU figures.")
        return None, None
    return available[0], available[1]


def raise_descriptor_limit() -> int:
    """Return how many connections a server can have: it inherits the limit, and the generator shares it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard - _SPARE_DESCRIPTORS
