"""The load generator: built when its source is newer, run once for a sample."""

import json
import os
import subprocess
from typing import Final, final

from bench.servers import CHECKOUT, Server, Unusable
from bench.workloads import Workload

_SOURCE: Final = CHECKOUT / "bench" / "loadgen.c"
_PROGRAM: Final = CHECKOUT / "build" / "bench" / "loadgen"
# Opening, warming up and draining come on top of the measured time.
_SPARE_SECONDS: Final = 60

Sample = dict[str, float]


@final
class Generator:
    """Runs the generator on one core, against whichever server it is given."""

    __slots__ = ("_core",)

    def __init__(self, core: int | None) -> None:
        self._core = core
        if _PROGRAM.exists() and _PROGRAM.stat().st_mtime > _SOURCE.stat().st_mtime:
            return
        _PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        compiler = os.environ.get("CC", "gcc")
        try:
            subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", _PROGRAM, _SOURCE], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unusable(f"the generator can't be built: {error}") from error

    def run(self, workload: Workload, server: Server, port: int, pid: int, seconds: float) -> Sample:
        command = [str(_PROGRAM), *_arguments(workload, server), "--port", str(port), "--pid", str(pid)]
        command += ["--milliseconds", str(round(seconds * 1000))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                if self._core is not None:
                    os.sched_setaffinity(process.pid, {self._core})
                output, complaints = process.communicate(timeout=seconds + _SPARE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise Unusable(f"{server.name}, {workload.name}: the generator hangs") from error
            finally:
                process.kill()
        if process.returncode != 0:
            raise Unusable(f"{server.name}, {workload.name}: {complaints.strip()}")
        sample: Sample = json.loads(output)
        if sample["errors"]:
            raise Unusable(f"{server.name}, {workload.name}: {sample['errors']} errors\n{complaints.strip()}")
        return sample


def _arguments(workload: Workload, server: Server) -> list[str]:
    words = [workload.mode, "--connections", str(workload.connections), "--depth", str(workload.depth)]
    if workload.size:
        words += ["--size", str(workload.size)]
    if workload.door == "room":
        room = server.room
        assert room is not None
        words += ["--path", room.path, "--hello", room.hello, "--template", room.template]
        words += ["--greetings", str(room.greetings), "--replies", str(room.replies)]
    elif server.echo_path is not None:
        words += ["--path", server.echo_path]
    else:
        words += ["--raw", "1"]
    return words


def can_run(workload: Workload, server: Server) -> bool:
    if server.raw:
        return workload.mode == "echo"
    return workload.door == "echo" or server.room is not None
