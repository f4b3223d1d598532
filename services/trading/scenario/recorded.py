"""Turns the recordings that a scenario names into points, within the limits of its plan."""

from trading.scenario import names
from trading.scenario.errors import CompileError
from trading.scenario.errors import Path as Place
from trading.scenario.faults import Recording
from trading.scenario.quantities import parse_duration
from trading.scenario.recordings import NotReadable, Recordings
from trading.scenario.series import Points, Reading, SeriesError, read_series
from trading.universe import Universe


class RecordedPrices:
    """Reads the recordings of one scenario, and counts their points."""

    def __init__(self, universe: Universe, files: Recordings) -> None:
        self._names = names.by_recorded_symbol(universe)
        self._files = files
        self._count = 0

    def read(self, recording: Recording, asset: str, place: Place) -> dict[str, Points]:
        """Return the points of each asset, as :func:`.series.read_series` does.

        ``place`` is the path of the recording in the scenario. Raises CompileError.
        """
        try:
            content = self._files.read(recording)
        except NotReadable as error:
            raise CompileError((*place, error.field), str(error)) from error
        field = next(f for f in ("file", "data", "recording") if getattr(recording, f) is not None)
        place = (*place, field)
        reading = Reading(
            asset,
            recording.column,
            recording.format or "",
            recording.gaps,
            parse_duration(recording.maxGap) if recording.maxGap is not None else 0,
        )
        try:
            series = read_series(content.text, self._names, reading)
        except SeriesError as error:
            raise CompileError(place, f"{content.place(error.line)}: {error}") from error
        self._count += sum(len(points) for points in series.values())
        _check_number(self._count, self._files.max_points, "a scenario", place)
        return series

    def check_path(self, count: int, place: Place) -> None:
        """Raise CompileError if the path of one fault has too many points."""
        _check_number(count, self._files.max_path_points, "a fault of a scenario", place)


def _check_number(count: int, most: int | None, where: str, place: Place) -> None:
    if most is not None and count > most:
        raise CompileError(
            place,
            f"{count} recorded prices; {where} that came over the network has at most {most}: leave"
            " out times and assets that are not needed",
        )
