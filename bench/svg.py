"""A picture in SVG: lines, bars and words, and scales by the logarithm."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Final, Literal, final

Place = tuple[float, float]

# Readable on a light page and on a dark one; the classes 0, 1, 2... are the series' colours.
_STYLE: Final = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .faint { fill: #6e7781 }
.grid { stroke: #d0d7de; stroke-width: 1 } .guide { stroke: #8c959f; stroke-dasharray: 4 4 }
.line { fill: none; stroke-width: 2 } .bar-other { fill: #afb8c1 } .bar-raw { fill: #dde2e7 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #3d444d } .guide { stroke: #6e7681 }
  .bar-other { fill: #656c76 } .bar-raw { fill: #3d444d }
}
"""
COLOURS: Final = (
    "#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#1b7c83", "#bc4c00",
    "#6e7781", "#57606a", "#4d2d00", "#2da44e", "#a475f9",
)  # fmt: skip


@final
class Picture:
    __slots__ = ("_height", "_parts", "_width")

    def __init__(self, width: float, height: float) -> None:
        self._width, self._height = width, height
        self._parts: list[str] = []

    def text(
        self, at: Place, words: str, style: str = "", anchor: Literal["start", "middle", "end"] = "start"
    ) -> None:
        x, y = at
        # Set off from the middle of its line, so that it stands level with what it names.
        attributes = f'x="{x:.1f}" y="{y + 4:.1f}" class="{style}" text-anchor="{anchor}"'
        self._parts.append(f"<text {attributes}>{escape(words)}</text>")

    def line(self, start: Place, end: Place, style: str) -> None:
        (x1, y1), (x2, y2) = start, end
        self._parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def bar(self, at: Place, width: float, height: float, style: str) -> None:
        x, y = at
        size = f'width="{max(width, 1):.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="2" class="{style}"/>')

    def series(self, places: Sequence[Place], number: int) -> None:
        """Draw a line through places, with a dot on each."""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self._parts.append(f'<polyline points="{points}" class="line stroke-{number}"/>')
        for x, y in places:
            self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="fill-{number}"/>')

    def save(self, path: Path) -> None:
        colours = "\n".join(
            f".stroke-{number} {{ stroke: {colour} }} .fill-{number} {{ fill: {colour} }}"
            for number, colour in enumerate(COLOURS)
        )
        size = f'width="{self._width:.0f}" height="{self._height:.0f}"'
        box = f'viewBox="0 0 {self._width:.0f} {self._height:.0f}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box}>\n<style>{_STYLE}{colours}\n</style>'
        path.write_text("\n".join([head, *self._parts, "</svg>\n"]))


@final
class LogScale:
    """From a value to its place between two ends; whole decades around the values."""

    __slots__ = ("_end", "_first", "_last", "_start")

    def __init__(self, values: Iterable[float], start: float, end: float) -> None:
        logs = [math.log10(value) for value in values]
        self._first, self._last = math.floor(min(logs)), math.ceil(max(logs))
        self._last += self._first == self._last
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        share = (math.log10(value) - self._first) / (self._last - self._first)
        return self._start + share * (self._end - self._start)

    @property
    def ticks(self) -> list[float]:
        """The powers of ten."""
        return [10.0**power for power in range(self._first, self._last + 1)]


def short(value: float) -> str:
    """Write a number in three digits and a letter: 1.23M."""
    for letter, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
