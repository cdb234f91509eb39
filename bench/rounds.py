"""Rounds: every server once, then every server again, so that what disturbs one round disturbs them all."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from bench.generator import Generator, Sample, can_run
from bench.process import running
from bench.servers import Server
from bench.workloads import Workload


@final
@dataclass(frozen=True, slots=True)
class Bench:
    """How to measure: `rounds` samples of `seconds` for each workload and server."""

    generator: Generator
    server_core: int | None
    rounds: int
    seconds: float
    # For TLS, which isn't measured without.
    certificate: Path | None

    def measure(self, workload: Workload, servers: Sequence[Server]) -> dict[str, list[Sample]]:
        """Return the samples of every server that can do the work."""
        able = [server for server in servers if can_run(workload, server)]
        samples: dict[str, list[Sample]] = {server.name: [] for server in able}
        for _ in range(self.rounds):
            for server in able:
                samples[server.name].append(self.sample(workload, server))
        return samples

    def sample(self, workload: Workload, server: Server) -> Sample:
        """Measure once, on a fresh server."""
        certificate = self.certificate if workload.is_tls else None
        with running(server, self.server_core, workload.is_deflated, certificate) as process:
            return self.generator.run(workload, server, process, self.seconds)
