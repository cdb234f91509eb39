"""Samples into a table: medians, spread, and the first server's ratio to each of the others."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.generator import Sample
from bench.workloads import Workload


def _figure(workload: Workload) -> str:
    return "bytes_per_connection" if workload.mode == "idle" else "rate_per_cpu_second"


def ratios(workload: Workload, samples: Mapping[str, Sequence[Sample]]) -> dict[str, float]:
    """The first server's figure over each other's; taken per round, so that a slow round counts for both."""
    figure = _figure(workload)
    subject, *others = samples
    return {
        other: median(
            mine[figure] / max(theirs[figure], 1)
            for mine, theirs in zip(samples[subject], samples[other], strict=True)
        )
        for other in others
    }


def table(workload: Workload, samples: Mapping[str, Sequence[Sample]]) -> str:
    figure = _figure(workload)
    subject = next(iter(samples))
    ratio = ratios(workload, samples)
    timed = workload.mode != "idle"
    head = f"  {'':12} {'median':>11} {'spread':>13} {subject + ' / this':>17}"
    lines = [f"{workload.name}: {workload.title}"]
    lines.append(head + f" {'per second':>11} {'p50 us':>9} {'p99 us':>9} {'CPU':>5}" if timed else head)
    for name, rounds in samples.items():
        values = [sample[figure] for sample in rounds]
        middle = median(values)
        low, high = (100 * (edge - middle) / max(middle, 1) for edge in (min(values), max(values)))
        line = f"  {name:12} {middle:11,.0f} {f'{low:+.0f} {high:+.0f} %':>13}"
        line += f" {f'{ratio[name]:.2f}x' if name in ratio else '':>17}"
        if timed:
            keys = ("rate", "p50_us", "p99_us")
            rate, p50, p99 = (median(sample[key] for sample in rounds) for key in keys)
            busy = median(sample["server_cpu_seconds"] / sample["seconds"] for sample in rounds)
            line += f" {rate:11,.0f} {p50:9,.0f} {p99:9,.0f} {busy:5.0%}"
        if timed and _generator_bound(rounds):
            line += "  generator-bound"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _generator_bound(rounds: Sequence[Sample]) -> bool:
    """The generator had no time left while the server had: the rate is the generator's."""
    generator = median(sample["generator_cpu_seconds"] / sample["seconds"] for sample in rounds)
    server = median(sample["server_cpu_seconds"] / sample["seconds"] for sample in rounds)
    return generator > 0.95 and server < 0.9
