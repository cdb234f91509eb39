"""Samples into a table: medians, spread, and the first server's ratio to each of the others."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

from bench.generator import Sample
from bench.workloads import Workload

Samples = Mapping[str, Sequence[Sample]]


def _share(key: str) -> Callable[[Sample], float]:
    """Return how to tell the share of a core that was used."""
    return lambda sample: sample[key] / sample["seconds"]


def _value(key: str) -> Callable[[Sample], float]:
    return lambda sample: sample[key]


# Head, format, value.
_COLUMNS: Final = (
    ("per second", "11,.0f", _value("rate")),
    ("p50 us", "9,.0f", _value("p50_us")),
    ("p90 us", "9,.0f", _value("p90_us")),
    ("p99 us", "9,.0f", _value("p99_us")),
    ("p99.9 us", "9,.0f", _value("p999_us")),
    ("max us", "11,.0f", _value("max_us")),
    ("CPU", "5.0%", _share("server_cpu_seconds")),
    ("generator", "10.0%", _share("generator_cpu_seconds")),
)


def ratios(workload: Workload, samples: Samples) -> dict[str, float]:
    """The first server's figure over each other's; taken per round, so that a slow round counts for both."""
    figure = workload.figure
    subject, *others = samples
    return {
        other: median(
            mine[figure] / max(theirs[figure], 1e-9)
            for mine, theirs in zip(samples[subject], samples[other], strict=True)
        )
        for other in others
    }


def table(workload: Workload, samples: Samples) -> str:
    subject = next(iter(samples))
    ratio = ratios(workload, samples)
    columns = () if workload.mode == "idle" else _COLUMNS
    width = max(12, *map(len, samples))
    head = f"  {'':{width}} {'median':>11} {'spread':>13} {subject + ' / this':>13}"
    for name, form, _ in columns:
        head += f" {name:>{_width(form)}}"
    lines = [f"{workload.name}: {workload.title}", head]
    for name, rounds in samples.items():
        values = [sample[workload.figure] for sample in rounds]
        middle = median(values)
        low, high = (100 * (edge - middle) / max(middle, 1) for edge in (min(values), max(values)))
        line = f"  {name:{width}} {middle:11,.0f} {f'{low:+.0f} {high:+.0f} %':>13}"
        line += f" {f'{ratio[name]:.2f}x' if name in ratio else '':>13}"
        for _, form, value in columns:
            line += f" {median(map(value, rounds)):{form}}"
        lines.append((line + "".join(_remarks(workload, rounds))).rstrip())
    return "\n".join(lines)


def _width(form: str) -> int:
    return int(form.split(",")[0].split(".")[0])


def _remarks(workload: Workload, rounds: Sequence[Sample]) -> list[str]:
    """Say what forbids to read the row as the server's speed."""
    if workload.mode == "idle":
        return []
    remarks: list[str] = []
    generator = median(map(_share("generator_cpu_seconds"), rounds))
    server = median(map(_share("server_cpu_seconds"), rounds))
    # The generator had no time left while the server had: the rate is the generator's.
    if generator > 0.95 and server < 0.9:
        remarks.append("  generator-bound")
    offered = workload.rate * (workload.connections if workload.mode == "fan" else 1)
    if offered and median(sample["rate"] for sample in rounds) < 0.98 * offered:
        remarks.append("  overloaded")
    return remarks
