"""Draw line charts and lanes as SVG: plain shapes with classes that the style sheet colours."""

from collections.abc import Callable, Sequence
from html import escape

from trading.report.record import Point, Series
from trading.report.scale import Scale, thin, time_ticks, value_ticks
from trading.scenario.result import FaultOutcome, Phase, PhaseStart, Verdict
from trading.units import PPM, format_duration

#: Sizes in pixels: the width of a chart, its margins, and the height of a lane.
WIDTH = 1080
LEFT = 64
RIGHT = 136
TOP = 26
BOTTOM = 22
LANE = 20

#: Number of colour classes c0 .. c6, a palette by Okabe and Ito for colour-blind readers.
COLOURS = 7


class TimeAxis:
    """The time axis that all charts of a run share, with its faults and phases.

    ``verdict`` has the times of the run, and ``width`` is the width of a chart in pixels. ``start``
    and ``end`` are in simulated microseconds, and ``x`` maps times to pixels.
    """

    def __init__(self, verdict: Verdict, width: int = WIDTH) -> None:
        self.start = verdict.started_at
        self.end = max(verdict.ended_at, self.start + 1)
        self.width = width
        self.x = Scale(self.start, self.end, LEFT, width - RIGHT)
        self.faults: Sequence[FaultOutcome] = verdict.faults
        self.phases: Sequence[PhaseStart] = verdict.phases

    def backdrop(self, top: float, bottom: float, *, labels: bool) -> list[str]:
        """Return the markup of the faults as shaded areas and of the phases as dashed lines,
        between the pixels ``top`` and ``bottom``. The names of the phases are written if ``labels``
        is true.
        """
        parts = []
        for fault in self.faults:
            if not fault.applied_at:
                continue
            left = self.x.clamped(fault.applied_at)
            right = max(self.x.clamped(fault.ended_at or self.end), left + 1)
            since = format_duration(fault.applied_at - self.start)
            parts.append(
                f'<rect class="fault" x="{left:.1f}" y="{top}" width="{right - left:.1f}" '
                f'height="{bottom - top}"><title>{escape(fault.name)} ({escape(fault.kind)}), '
                f"from {since}</title></rect>"
            )
        next_label_at = float(LEFT)
        for phase in self.phases:
            if phase.phase in (Phase.PENDING, Phase.COMPLETED):
                continue
            at = self.x.clamped(phase.at)
            parts.append(f'<path class="phase" d="M{at:.1f} {top}V{bottom}"/>')
            if labels and at >= next_label_at:
                parts.append(
                    f'<text class="phase-name" x="{at + 3:.1f}" y="{top + 10}">'
                    f"{escape(phase.phase)}</text>"
                )
                next_label_at = at + 7 * len(phase.phase)
        return parts

    def time_axis(self, bottom: float) -> list[str]:
        """Return the markup of the ticks below a chart that ends at the pixel ``bottom``."""
        parts = []
        for tick in time_ticks(self.end - self.start):
            at = self.x(self.start + tick)
            parts.append(
                f'<path class="grid" d="M{at:.1f} {bottom}v4"/><text class="tick middle" '
                f'x="{at:.1f}" y="{bottom + 16}">{format_duration(tick) if tick else "0"}</text>'
            )
        return parts


def line_chart(
    axis: TimeAxis,
    title: str,
    series: Sequence[Series],
    label: Callable[[float], str],
    *,
    height: int = 200,
    labels: bool = False,
    with_zero: bool = False,
    name: str = "",
) -> str:
    """Return the markup of a line chart, as one ``<g>`` element.

    ``label`` formats a value. ``height`` is in pixels, ``labels`` shows the names of the phases,
    ``with_zero`` includes 0 in the value axis, and ``name`` is a class of the element.
    """
    drawn = [s for s in series if s.points]
    values = [p.value for s in drawn for p in s.points] + ([0] if with_zero or not drawn else [])
    top, bottom = TOP, height - BOTTOM
    ticks = value_ticks(min(values), max(values))
    y = Scale(ticks[0], ticks[-1], bottom, top)
    parts = [
        f'<g class="chart {name}"><text class="title" x="{LEFT}" y="14">{escape(title)}</text>'
    ]
    parts += axis.backdrop(top, bottom, labels=labels)
    for tick in ticks:
        parts.append(
            f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{axis.width - RIGHT}"/>'
            f'<text class="tick end" x="{LEFT - 6}" y="{y(tick) + 4:.1f}">{label(tick)}</text>'
        )
    parts += axis.time_axis(bottom)
    if not drawn:
        middle = (LEFT + axis.width - RIGHT) / 2
        parts.append(
            f'<text class="tick middle" x="{middle}" y="{(top + bottom) / 2}">no data</text>'
        )
    for number, line in enumerate(drawn):
        path = _path(line.points, axis.x, y, axis.width - LEFT - RIGHT)
        parts.append(
            f'<path class="line c{number % COLOURS}" d="{path}"><title>{escape(line.label)}'
            "</title></path>"
        )
    parts += _end_labels(drawn, y, axis, label)
    return "".join(parts) + "</g>"


class Bar:
    """A bar of a lane from ``start`` to ``end``, in simulated microseconds. ``css_class`` colours
    it, and ``tip`` is the text that is displayed on hovering.
    """

    __slots__ = ("css_class", "end", "start", "tip")

    def __init__(self, start: int, end: int, css_class: str, tip: str) -> None:
        self.start = start
        self.end = end
        self.css_class = css_class
        self.tip = tip


def lanes(axis: TimeAxis, title: str, rows: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Return the markup of one horizontal lane with bars for each row, as one ``<g>`` element."""
    bottom = TOP + LANE * len(rows)
    parts = [f'<g class="chart lanes"><text class="title" x="{LEFT}" y="14">{escape(title)}</text>']
    parts += axis.backdrop(TOP, bottom, labels=False)
    for number, (name, bars) in enumerate(rows):
        y = TOP + LANE * number
        parts.append(f'<path class="grid" d="M{LEFT} {y + LANE}H{axis.width - RIGHT}"/>')
        for bar in bars:
            left = axis.x.clamped(bar.start)
            width = max(axis.x.clamped(bar.end) - left, 3)
            parts.append(
                f'<rect class="bar {bar.css_class}" x="{left:.1f}" y="{y + 4}" width="{width:.1f}" '
                f'height="{LANE - 8}" rx="2"><title>{escape(bar.tip)}</title></rect>'
            )
        parts.append(f'<text class="lane-name" x="{LEFT + 4}" y="{y + 14}">{escape(name)}</text>')
    parts += axis.time_axis(bottom)
    return "".join(parts) + "</g>"


def lanes_height(rows: int) -> int:
    """Return the height in pixels of :func:`lanes` with that many rows."""
    return TOP + LANE * rows + BOTTOM


def rebased(series: Series) -> Series:
    """Return a series as its relative change since its first point, in ppm."""
    if not series.points or not series.points[0].value:
        return Series(series.label, "ppm", ())
    first = series.points[0].value
    return Series(
        series.label,
        "ppm",
        tuple(Point(p.at, (p.value - first) * PPM // first) for p in series.points),
    )


def _path(points: Sequence[Point], x: Scale, y: Scale, columns: int) -> str:
    return "M" + "L".join(f"{x.clamped(p.at):.1f} {y(p.value):.1f}" for p in thin(points, columns))


def _end_labels(
    drawn: Sequence[Series], y: Scale, axis: TimeAxis, label: Callable[[float], str]
) -> list[str]:
    """Return the labels at the right ends of the lines, moved apart where they would overlap."""
    ends = sorted(
        ((y(s.points[-1].value), n, s) for n, s in enumerate(drawn)), key=lambda end: end[:2]
    )
    parts = []
    lowest = 0.0
    for at, number, line in ends:
        at = max(at + 4, lowest)
        lowest = at + 12
        text = f"{line.label} {label(line.points[-1].value)}"
        parts.append(
            f'<text class="name c{number % COLOURS}" x="{axis.width - RIGHT + 4}" '
            f'y="{at:.1f}">{escape(text)}</text>'
        )
    return parts
