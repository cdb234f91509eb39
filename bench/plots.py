"""What was measured as pictures: `python -m bench.plots REPORT.json FOLDER` writes the SVG files."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.svg import LogScale, Picture, short

_BARS: Final = {
    "echo-small": "Echo, 64 octets, 1 in flight: messages",
    "echo-deep": "Echo, 64 octets, 16 in flight: messages",
    "echo-large": "Echo, 64 KiB, 1 in flight: messages",
    "fan-one": "A room of 1,000, 1 in flight: deliveries",
    "fan-deep": "A room of 1,000, 16 in flight: deliveries",
    "storm": "Handshakes",
}
_QUANTILES: Final = {"p50": "p50_us", "p90": "p90_us", "p99": "p99_us", "p99.9": "p999_us", "max": "max_us"}
_AXES: Final = {
    "growth-members": "members",
    "growth-rooms": "rooms",
    "growth-connections": "connections",
    "growth-size": "octets",
}
_PANEL: Final = (440, 300)
_ROW: Final = 20


def draw(report: Mapping[str, Any], folder: Path) -> None:
    """Write a file for each picture that something was measured for."""
    folder.mkdir(parents=True, exist_ok=True)
    workloads = {each["workload"]["name"]: each for each in report.get("workloads", ())}
    bars = {name: workloads[name]["samples"] for name in _BARS if name in workloads}
    if bars:
        _draw_bars(bars).save(folder / "throughput.svg")
    latencies = [each for each in workloads.values() if each["workload"]["rate"]]
    if latencies:
        _draw_latencies(latencies).save(folder / "latency.svg")
    axes: dict[str, list[dict[str, Any]]] = {}
    for each in report.get("growth", ()):
        axes.setdefault(each["axis"], []).append(each)
    if axes:
        _draw_growth(axes).save(folder / "growth.svg")


def _draw_bars(workloads: Mapping[str, Mapping[str, Sequence[Mapping[str, float]]]]) -> Picture:
    """Panels two by two: work per second of server CPU, a bar for each server."""
    width, rows = _PANEL[0], max(map(len, workloads.values()))
    height = _ROW * rows + 50
    picture = Picture(2 * width, height * math.ceil(len(workloads) / 2) + 20)
    for number, (name, samples) in enumerate(workloads.items()):
        left, top = width * (number % 2), height * (number // 2) + 20
        picture.text((left + 10, top), _BARS[name] + " per CPU second", "title")
        values = {
            server: median(sample["rate_per_cpu_second"] for sample in rounds)
            for server, rounds in samples.items()
        }
        largest = max(values.values())
        for row, (server, value) in enumerate(values.items()):
            y = top + 24 + row * _ROW
            picture.text((left + 130, y), server, anchor="end")
            length = (width - 200) * value / largest
            picture.bar((left + 138, y - 7), length, 14, _bar_style(server))
            picture.text((left + 144 + length, y), short(value), "faint")
    return picture


def _bar_style(server: str) -> str:
    if server.startswith("ours"):
        return "fill-0"
    return "bar-raw" if server.startswith("raw") else "bar-other"


def _is_variant(server: str) -> bool:
    """True for another build or event loop of what is there already: too many lines can't be read."""
    return server.startswith("ours-") or server.endswith(("-asyncio", "-uvloop"))


def _draw_latencies(workloads: Sequence[Mapping[str, Any]]) -> Picture:
    """Panels side by side: percentiles of the latency of an open loop, a line for each server."""
    named = dict.fromkeys(server for each in workloads for server in each["samples"])
    servers = [server for server in named if not _is_variant(server)]
    width, height = _PANEL
    picture = Picture(width * len(workloads), height + _ROW * math.ceil(len(servers) / 4) + 30)
    for number, each in enumerate(workloads):
        left = width * number + 60
        lines = {
            server: [median(sample[key] for sample in rounds) for key in _QUANTILES.values()]
            for server, rounds in each["samples"].items()
            if server in servers
        }
        y = LogScale((max(value, 1) for line in lines.values() for value in line), height - 30, 40)
        x = [left + position * (width - 90) / (len(_QUANTILES) - 1) for position in range(len(_QUANTILES))]
        unit = "publications" if each["workload"]["mode"] == "fan" else "messages"
        title = f"{each['workload']['rate']:,} {unit} a second: latency from when due, us"
        picture.text((left, 18), title, "title")
        _draw_grid(picture, y, (left, left + width - 90))
        for place, name in zip(x, _QUANTILES, strict=True):
            picture.text((place, height - 12), name, "faint", "middle")
        for server, line in lines.items():
            places = [(place, y.place(max(value, 1))) for place, value in zip(x, line, strict=True)]
            picture.series(places, servers.index(server))
    _draw_legend(picture, servers, height + 12)
    return picture


def _draw_growth(axes: Mapping[str, Sequence[Mapping[str, Any]]]) -> Picture:
    """Panels two by two: both scales logarithmic, a guide for linear growth, the slopes in words."""
    servers = list(dict.fromkeys(each["server"] for axis in axes.values() for each in axis))
    width, height = _PANEL
    rows = math.ceil(len(axes) / 2)
    picture = Picture(2 * width, height * rows + _ROW * math.ceil(len(servers) / 4) + 20)
    for number, (axis, growths) in enumerate(axes.items()):
        left, top = width * (number % 2) + 60, height * (number // 2)
        points = [point for each in growths for point in each["points"]]
        x = LogScale((value for value, _ in points), left, left + width - 90)
        y = LogScale((cost for _, cost in points), top + height - 50, top + 40)
        picture.text((left, top + 18), f"us of server CPU for {growths[0]['work']}", "title")
        _draw_grid(picture, y, (left, left + width - 90))
        for tick in x.ticks:
            picture.text((x.place(tick), top + height - 34), short(tick), "faint", "middle")
        picture.text((left + width - 90, top + height - 16), _AXES[axis], "faint", "end")
        first, last = min(points), max(points)
        # Linear growth from the dearest point at the large end, as far down as the picture goes.
        reach = max(first[0], last[0] * min(y.ticks) / last[1])
        guide = (x.place(reach), y.place(last[1] * reach / last[0]))
        picture.line(guide, (x.place(last[0]), y.place(last[1])), "guide")
        for row, each in enumerate(growths):
            series = servers.index(each["server"])
            picture.series([(x.place(value), y.place(cost)) for value, cost in each["points"]], series)
            slope = f"{each['server']}: slope {each['slope']:.2f}, last decade {each['last_slope']:.2f}"
            picture.text((left + 8, top + 48 + row * 16), slope, f"fill-{series}")
    _draw_legend(picture, servers, height * rows + 8)
    return picture


def _draw_grid(picture: Picture, y: LogScale, ends: tuple[float, float]) -> None:
    for tick in y.ticks:
        picture.line((ends[0], y.place(tick)), (ends[1], y.place(tick)), "grid")
        picture.text((ends[0] - 8, y.place(tick)), short(tick), "faint", "end")


def _draw_legend(picture: Picture, servers: Sequence[str], top: float) -> None:
    for number, server in enumerate(servers):
        at = (60 + 190 * (number % 4), top + _ROW * (number // 4))
        picture.bar((at[0], at[1] - 5), 10, 10, f"fill-{number}")
        picture.text((at[0] + 16, at[1]), server)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
