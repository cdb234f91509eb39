"""Our own server in a process of its own, for measurements that need no other beside it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


@final
@dataclass(frozen=True, slots=True)
class OwnServer:
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the time that it has computed so far, in user and in system mode."""
        with open(f"/proc/{self.pid}/stat") as file:
            # Behind the command's name, which may hold blanks.
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def serve(*flags: str) -> Iterator[OwnServer]:
    """Run `python -m server` with these flags on a free port."""
    command = [sys.executable, "-m", "server", "--host", "127.0.0.1", "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found is None:
                raise SystemExit(f"the server doesn't listen: {line!r}")
            yield OwnServer(int(found[1]), process.pid)
        finally:
            process.kill()
