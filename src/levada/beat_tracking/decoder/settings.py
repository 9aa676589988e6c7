"""Priors of the decoder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from levada.errors import InputError, check_integer, settings_from
from levada.io.metres import Metre, beats_in, metre_of, relative_lengths

__all__ = ["DecoderSettings", "TempoRange", "tempo_range"]

TempoRange = float | tuple[float, float]
"""A tempo, or the slowest and the fastest one, in beats per minute."""

SLOWEST_BPM = 5.0  # a beat of 12 s: no pulse is slower (London, "Hearing in Time", 2012, has 30 bpm)
FASTEST_BPM = 500.0
TEMPO_ROOM = 1.08  # above and below a tempo that is given as one number
NO_PULSE_COST = 16.0  # of the beginning and of the end of a stretch without a pulse, for networks trained with such
LONGEST_BAR = 64  # beats: longer "bars" are mistakes, and their states would fill the memory


@dataclass(frozen=True)
class DecoderSettings:
    """Priors of the bar-pointer model, checked when made.

    Every field is a plain number or a tuple of numbers, so that `dataclasses.asdict` gives JSON and
    `DecoderSettings.from_dict` reads it back.

    Raises
    ------
    InputError
        If a value is of the wrong kind or out of range; the message names the field.
    """

    min_tempo_bpm: float = 55.0
    """Slowest tempo, in beats per minute; where beats are of unequal length, of the beat of median length."""
    max_tempo_bpm: float = 215.0
    """Fastest tempo, in beats per minute."""
    tempi: int = 60
    """At most so many tempi, spaced evenly in the logarithm; all whole beat lengths if they are fewer."""
    tempo_mean_bpm: float | None = None
    """Centre of a log-normal prior on the tempo that a recording begins with and leans to."""
    tempo_spread_octaves: float | None = None
    """Standard deviation of that prior, in octaves (1 is a doubling); given if and only if the centre is."""
    tempo_stiffness: float = 100.0
    """Cost of a tempo change: lambda in ``exp(-lambda |new / old - 1|)`` of two beat lengths; 0 is free."""
    metres: tuple[Metre, ...] = (2, 3, 4)
    """Beats a bar may have; or their relative lengths, such as ``"2+2+2+3"``, where these are not all the same."""
    metre_weights: tuple[float, ...] | None = None
    """How likely each metre is, in any unit; None for all the same."""
    metre_change: float = 1e-3
    """Probability that the metre is sampled again at the end of a bar; 0 keeps one metre throughout."""
    beat_width: float = 16.0
    """A beat is observed in the first 1 / `beat_width` of its length only."""
    threshold: float = 0.05
    """Beats before the first and after the last activation as high as this are dropped; 0 keeps all."""
    no_pulse_enter: float | None = None
    """Cost of a stretch without a pulse after a beat, minus the log of its probability; None: there are none."""
    no_pulse_leave: float = NO_PULSE_COST
    """Cost of a beat after a stretch without a pulse, in the same unit."""

    def __post_init__(self) -> None:
        for name in ("metres", "metre_weights"):
            value = getattr(self, name)
            if value is not None:
                if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
                    raise InputError(f"{name} must be a list of numbers, not {value!r}")
                object.__setattr__(self, name, tuple(value))
        object.__setattr__(self, "metres", tuple(map(_unequal, self.metres)))
        numbers = ("min_tempo_bpm", "max_tempo_bpm", "tempo_stiffness", "metre_change", "beat_width", "threshold")
        for name in numbers:
            _number(name, getattr(self, name))
        if not 0 < self.min_tempo_bpm <= self.max_tempo_bpm:
            raise InputError(
                f"min_tempo_bpm must be above 0 and not above max_tempo_bpm, not {self.min_tempo_bpm:g} "
                f"to {self.max_tempo_bpm:g}"
            )
        if self.min_tempo_bpm < SLOWEST_BPM:
            raise InputError(f"min_tempo_bpm must be at least {SLOWEST_BPM:g}, not {self.min_tempo_bpm:g}")
        _whole("tempi", self.tempi, most=1000)
        if (self.tempo_mean_bpm is None) != (self.tempo_spread_octaves is None):
            raise InputError("tempo_mean_bpm and tempo_spread_octaves go together: give both or neither")
        for name in ("tempo_mean_bpm", "tempo_spread_octaves"):
            value = getattr(self, name)
            if value is not None and not _number(name, value) > 0:
                raise InputError(f"{name} must be above 0, not {value}")
        if self.tempo_stiffness < 0:
            raise InputError(f"tempo_stiffness must not be negative, not {self.tempo_stiffness}")
        if not self.metres:
            raise InputError("metres must name at least one number of beats per bar")
        for metre in self.metres:
            _whole("each of metres", beats_in(metre) if _is_unequal(metre) else metre, most=LONGEST_BAR)
        if len(set(self.metres)) < len(self.metres):
            raise InputError(f"metres names a metre twice: {list(self.metres)}")
        if self.metre_weights is not None:
            if len(self.metre_weights) != len(self.metres):
                raise InputError(f"{len(self.metres)} metres but {len(self.metre_weights)} metre_weights")
            for weight in self.metre_weights:
                if not _number("each of metre_weights", weight) > 0:
                    raise InputError(f"each of metre_weights must be above 0, not {weight}; leave the metre out")
        for name in ("metre_change", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if self.no_pulse_enter is not None and not _number("no_pulse_enter", self.no_pulse_enter) > 0:
            raise InputError(f"no_pulse_enter must be above 0, not {self.no_pulse_enter}")
        if not _number("no_pulse_leave", self.no_pulse_leave) > 0:
            raise InputError(f"no_pulse_leave must be above 0, not {self.no_pulse_leave}")
        if not self.beat_width >= 2:
            raise InputError(f"beat_width must be at least 2, not {self.beat_width}")

    @property
    def beats_per_bar(self) -> tuple[int, ...]:
        """Number of beats of each metre."""
        return tuple(map(beats_in, self.metres))

    @property
    def extreme_lengths(self) -> tuple[float, float]:
        """Shortest and longest beat of all metres, relative to the usual one of its bar; 1 where all are equal."""
        unequal = [relative_lengths(metre) for metre in self.metres if isinstance(metre, str)]
        return (
            min((float(lengths.min()) for lengths in unequal), default=1.0),
            max((float(lengths.max()) for lengths in unequal), default=1.0),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DecoderSettings:
        """Read settings from a mapping, as `levada.errors.settings_from` does."""
        return settings_from(cls, values, noun="decoder settings")

    def restrict(
        self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None
    ) -> DecoderSettings:
        """Return the settings with another range of tempi, or other metres.

        Metres keep their weights where all of them have one. A prior on the tempo is dropped where its centre is
        outside the range.

        Parameters
        ----------
        tempo_bpm, metres : optional
            As in `levada.BeatTracker.track`.

        Raises
        ------
        InputError
            If the tempo or a metre is out of range, or a metre is named twice.
        """
        settings = self
        if tempo_bpm is not None:
            low, high = tempo_range(tempo_bpm)
            settings = replace(settings, min_tempo_bpm=low, max_tempo_bpm=high)
            if self.tempo_mean_bpm is not None and not low <= self.tempo_mean_bpm <= high:
                settings = replace(settings, tempo_mean_bpm=None, tempo_spread_octaves=None)
        if metres is not None:
            weights = dict(zip(self.metres, self.metre_weights or (), strict=False))
            settings = replace(settings, metres=metres, metre_weights=None)  # type: ignore[arg-type]  # checked when made
            if all(metre in weights for metre in settings.metres):
                settings = replace(settings, metre_weights=tuple(weights[metre] for metre in settings.metres))
        return settings


def tempo_range(tempo_bpm: TempoRange) -> tuple[float, float]:
    """Return the slowest and the fastest tempo that is meant, in beats per minute; one number has 8 % of room.

    Raises
    ------
    InputError
        If it is neither one number nor two, the first is above the second, or one is outside 5 to 500 bpm.
    """
    given: Sequence[Any] = tempo_bpm if isinstance(tempo_bpm, Sequence) else (tempo_bpm,)
    if isinstance(tempo_bpm, str | bytes) or len(given) not in (1, 2):
        raise InputError(f"the tempo must be one number or two, the slowest and the fastest, not {tempo_bpm!r}")
    for value in given:
        if not SLOWEST_BPM <= _number("the tempo", value) <= FASTEST_BPM:
            raise InputError(f"the tempo must be from {SLOWEST_BPM:g} to {FASTEST_BPM:g} bpm, not {value:g}")
    low, high = float(given[0]), float(given[-1])
    if low > high:
        raise InputError(f"the slowest tempo must not be above the fastest, as in {low:g}-{high:g}: swap them")
    return (low, high) if len(given) > 1 else (max(low / TEMPO_ROOM, SLOWEST_BPM), high * TEMPO_ROOM)


def _is_unequal(metre: object) -> bool:
    return isinstance(metre, str) and "+" in metre


def _unequal(metre: Any) -> Any:
    """Return a metre of unequal beats in its lowest terms, anything else as it is."""
    return metre_of(metre) if _is_unequal(metre) else metre


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InputError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def _whole(name: str, value: object, *, most: int) -> None:
    check_integer(name, int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value, 1, most)
