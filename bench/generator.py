"""The load generator: run once for a sample, on a core of its own."""

import json
import os
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from bench.process import Process, Unusable
from bench.servers import Door, Server
from bench.workloads import Workload

# Opening, warming up and draining come on top of the measured time; a machine may be an emulated one.
_SPARE_SECONDS: Final = 90
_SPARE_SECONDS_OF_A_CONNECTION: Final = 0.01

Sample = dict[str, float]


@final
@dataclass(frozen=True, slots=True)
class Generator:
    program: Path
    core: int | None

    def run(self, workload: Workload, server: Server, process: Process, seconds: float) -> Sample:
        """Return what was measured. Raises Unusable where anything went wrong but speed."""
        what = f"{server.name}, {workload.name}"
        door = getattr(server, workload.door)
        command = [str(self.program), workload.mode, *_traffic(workload), *_entrance(door), *_raw(server)]
        command += ["--port", str(process.port), "--pid", str(process.pid)]
        command += ["--milliseconds", str(round(seconds * 1000))]
        if self.core is not None:
            # The server's writes would pay for waking it: more than for themselves, and the more the longer
            # the server makes it wait. Over a network they don't.
            command += ["--awake", "1"]
        if workload.is_tls:
            command += ["--tls", "1"]
        timeout = seconds + _SPARE_SECONDS + workload.connections * _SPARE_SECONDS_OF_A_CONNECTION
        if not workload.is_deflated:
            return _sample(what, self._output(what, command, timeout))
        text = make_json(workload.size)
        with tempfile.NamedTemporaryFile() as payload:
            payload.write(deflate(text))
            payload.flush()
            command += ["--deflate", "1", "--payload", payload.name]
            echo, *output = self._output(what, command, timeout)
        is_compressed, octets = echo.split()
        if text != (inflate(bytes.fromhex(octets)) if is_compressed == "1" else bytes.fromhex(octets)):
            raise Unusable(f"{what}: the echo isn't what was sent")
        return _sample(what, output) | {"echo_octets": len(octets) // 2}

    def _output(self, what: str, command: Sequence[str], timeout: float) -> list[str]:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                if self.core is not None:
                    os.sched_setaffinity(process.pid, {self.core})
                output, complaints = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired as error:
                raise Unusable(f"{what}: the generator hangs") from error
            finally:
                process.kill()
        if process.returncode != 0:
            raise Unusable(f"{what}: {complaints.strip()}")
        return [*output.splitlines(), complaints]


def _sample(what: str, output: list[str]) -> Sample:
    measured, complaints = output
    sample: Sample = json.loads(measured)
    if sample["errors"]:
        raise Unusable(f"{what}: {sample['errors']} errors\n{complaints.strip()}")
    return sample


def _traffic(workload: Workload) -> list[str]:
    numbers = {
        "--connections": workload.connections,
        "--depth": workload.depth,
        "--size": workload.size or 1,
        "--rate": workload.rate,
        "--rooms": workload.rooms,
    }
    return [word for name, value in numbers.items() for word in (name, str(value))]


def _entrance(door: Door) -> list[str]:
    texts = {
        "--path": door.path,
        "--hello": door.hello,
        "--join": door.join,
        "--leave": door.leave,
        "--template": door.template,
        "--greetings": str(door.greetings),
    }
    return [word for name, value in texts.items() if value for word in (name, value)]


def _raw(server: Server) -> list[str]:
    return ["--raw", "1"] if server.is_raw else []


def can_run(workload: Workload, server: Server) -> bool:
    if getattr(server, workload.door) is None or (workload.is_deflated and not server.can_deflate):
        return False
    if workload.is_tls and not server.tls:
        return False
    if workload.rooms > 1:
        return server.room is not None and "%R" in server.room.template
    return not server.is_raw or workload.mode in ("echo", "fan")


def make_json(size: int) -> bytes:
    """Make JSON of this size in octets, such as applications send: names repeat and values don't."""
    rows: list[dict[str, object]] = []
    text = b"[]"
    while len(text) < size:
        number = len(rows) * 2654435761 % 2**32
        rows.append({"id": number, "user": f"user-{number % 977}", "price": number % 99991 / 100})
        text = json.dumps(rows, separators=(",", ":")).encode()
    # Cut to size: nobody here parses it.
    return text[:size]


def deflate(text: bytes) -> bytes:
    """Compress as RFC 7692 wants it."""
    compressor = zlib.compressobj(wbits=-15)
    compressed = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    # 7692 7.2.1: without the four octets that end the flush.
    return compressed[:-4]


def inflate(octets: bytes) -> bytes:
    """Undo `deflate`."""
    return zlib.decompressobj(wbits=-15).decompress(octets + b"\x00\x00\xff\xff")
