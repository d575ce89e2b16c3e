"""Charts as SVG: horizontal bars, one a client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

ROW, LABEL, WIDTH, NUMBER = 20, 190, 420, 110
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
