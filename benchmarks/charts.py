"""Charts as SVG: horizontal bars, one a client, and lines over what grows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

ROW, LABEL, WIDTH, NUMBER = 20, 190, 420, 110
HEIGHT = 300
LINES = ("#1f6feb", "#0a3069", "#54aeff", "#6639ba", "#d0a215", "#bc4c00", "#9a6700")
OURS, FLOOR, OTHER = "#1f6feb", "#8c959f", "#d0a215"


@dataclass(frozen=True, slots=True)
class Row:
    """One bar."""

    name: str
    value: float
    text: str
    """The value as it is written beside the bar."""


def bar_chart(title: str, rows: Sequence[Row]) -> str:
    """Draw the rows in their order; wsclient's have a colour of their own, so has the floor."""
    most = max((row.value for row in rows), default=1.0) or 1.0
    height = ROW * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDTH + NUMBER}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="{ROW - 4}" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for i, row in enumerate(rows):
        y, width = ROW * (i + 1) + 6, max(1.0, row.value / most * WIDTH)
        parts += [
            f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(row.name)}</text>',
            f'<rect x="{LABEL}" y="{y + 2}" width="{width:.1f}" height="{ROW - 5}" fill="{_colour(row.name)}"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{y + 13}" fill="#333">{escape(row.text)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _colour(name: str) -> str:
    return OURS if name.startswith("wsclient") else FLOOR if name.startswith("floor") else OTHER


Points = Sequence[tuple[float, float]]


def line_chart(title: str, lines: Mapping[str, Points]) -> str:
    """Draw lines; both axes are logarithmic, each decade has a line of its own. Nothing below zero is drawn."""
    shown = {name: [(x, y) for x, y in points if y > 0] for name, points in lines.items()}
    xs = _Axis([x for points in shown.values() for x, _ in points], LABEL / 3, LABEL / 3 + WIDTH)
    ys = _Axis([y for points in shown.values() for _, y in points], HEIGHT + ROW, 2 * ROW)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL / 3 + WIDTH + 2 * NUMBER:.0f}" '
        f'height="{HEIGHT + 3 * ROW}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="{ROW - 4}" font-size="14" font-weight="bold">{escape(title)}</text>',
        *(
            f'<path d="M{xs.at(x):.1f} {ys.first}V{ys.last}" stroke="#ddd"/>'
            f'<text x="{xs.at(x):.1f}" y="{ys.first + ROW}" text-anchor="middle">{x:,.0f}</text>'
            for x in xs.decades()
        ),
        *(
            f'<path d="M{xs.first} {ys.at(y):.1f}H{xs.last}" stroke="#ddd"/>'
            f'<text x="{xs.first - 4}" y="{ys.at(y) + 4:.1f}" text-anchor="end">{y:g}</text>'
            for y in ys.decades()
        ),
    ]
    for i, (name, points) in enumerate(shown.items()):
        colour = FLOOR if name == "floor" else LINES[i % len(LINES)]
        path = "L".join(f"{xs.at(x):.1f} {ys.at(y):.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{xs.last + 12}" y="{2 * ROW + i * ROW}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """Logarithmic, from the decade below the least to that above the greatest."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        self.first, self.last = first, last
        self._low = math.floor(math.log10(min(values, default=1)))
        self._high = max(self._low + 1, math.ceil(math.log10(max(values, default=10))))

    def at(self, value: float) -> float:
        part = (math.log10(value) - self._low) / (self._high - self._low)
        return self.first + part * (self.last - self.first)

    def decades(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]
