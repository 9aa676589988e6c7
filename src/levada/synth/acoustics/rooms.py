"""Room acoustics: impulse responses of box-shaped rooms.

A room is a box whose six surfaces absorb sound. The early reflections are those of image sources (Allen,
JASA 65, 1979); the late ones are noise with the reverberation time of Eyring in each octave band, at the level of the
diffuse field relative to the direct sound at that distance (Kuttruff, Room Acoustics). A street is a box whose top and
ends absorb everything. The direct sound is at sample 0, whatever the distance: a room never delays a beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from levada.io.audio import resample
from levada.synth.acoustics.noise import Floats32, Floats64, Generator, convolve
from levada.synth.instruments import RATE

__all__ = [
    "OCTAVES_HZ", "ROOM_TYPES", "Room", "RoomType", "impulse_response", "reverberate", "reverberation", "sample_room",
    "sample_room_type",
]  # fmt: skip

OCTAVES_HZ = np.array([125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
# Absorption per metre at 20 °C and 50 % humidity: ISO 9613-1.
AIR = np.array([0.0001, 0.0003, 0.0006, 0.0011, 0.0023, 0.0068, 0.0242])
SOUND_M_S = 343.0
LONGEST_S = 3.0
_HARD, _OPEN = (0.02, 0.08), (0.97, 1.0)


@dataclass(frozen=True)
class RoomType:
    """A type of room: ranges from which its parameters are sampled, uniformly or log-uniformly."""

    size_m: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]  # length, width, height
    walls: tuple[float, float]  # absorption coefficient at 1 kHz
    distance_m: tuple[float, float]
    weight: float
    ends: tuple[float, float] | None = None  # absorption of the two short walls, if different
    floor: tuple[float, float] | None = None
    ceiling: tuple[float, float] | None = None


ROOM_TYPES = {
    "booth": RoomType(((2, 5), (2, 4), (2.2, 3)), (0.25, 0.6), (0.2, 2), 1.5),
    "room": RoomType(((3, 9), (3, 7), (2.4, 3.5)), (0.1, 0.35), (0.4, 5), 3),
    "bar": RoomType(((8, 20), (6, 12), (2.8, 5)), (0.12, 0.4), (0.8, 12), 2),
    "stairwell": RoomType(((3, 6), (3, 6), (6, 18)), (0.04, 0.12), (0.6, 5), 0.5),
    "hall": RoomType(((18, 45), (12, 25), (7, 15)), (0.12, 0.35), (1.5, 25), 2),
    "church": RoomType(((20, 50), (10, 22), (9, 20)), (0.05, 0.15), (1.5, 20), 0.7, floor=(0.05, 0.3)),
    "street": RoomType(((30, 80), (7, 20), (5, 18)), (0.03, 0.2), (1, 20), 2, _OPEN, _HARD, _OPEN),
    "square": RoomType(((20, 50), (20, 50), (6, 14)), (0.05, 0.3), (1, 20), 1, None, _HARD, _OPEN),
    "open": RoomType(((60, 90), (60, 90), (30, 40)), (0.97, 1.0), (1, 25), 1, None, (0.03, 0.6), _OPEN),
}


@dataclass(frozen=True, eq=False)
class Room:
    """A room with a source and a receiver.

    Parameters
    ----------
    size_m, source_m, receiver_m : float [shape=(3,)]
        Length, width and height; positions from a corner.
    absorption : float [shape=(3, 2, 7)]
        Absorption coefficients of the two surfaces across length, width and height, in each octave band.
    """

    size_m: Floats64
    absorption: Floats64
    source_m: Floats64
    receiver_m: Floats64

    @property
    def distance_m(self) -> float:
        """Distance from the source to the receiver."""
        return float(np.linalg.norm(self.source_m - self.receiver_m))

    @property
    def surface_m2(self) -> Floats64:
        """Area of each of the six surfaces: float [shape=(3, 2)]."""
        return np.repeat((np.prod(self.size_m) / self.size_m)[:, None], 2, axis=1)

    @property
    def mean_absorption(self) -> Floats64:
        """Mean absorption coefficient of all surfaces, in each octave band: float [shape=(7,)]."""
        area = self.surface_m2
        return np.asarray((area[..., None] * self.absorption).sum((0, 1)) / area.sum())

    @property
    def rt60_s(self) -> Floats64:
        """Reverberation time (decay by 60 dB) in each octave band, by Eyring's formula: float [shape=(7,)]."""
        volume, area = np.prod(self.size_m), self.surface_m2.sum()
        return np.asarray(0.161 * volume / (4 * AIR * volume - area * np.log(1 - self.mean_absorption)))

    @property
    def reverberant(self) -> Floats64:
        """Energy of the diffuse field relative to the direct sound, in each octave band: float [shape=(7,)]."""
        constant = self.surface_m2.sum() * self.mean_absorption / (1 - self.mean_absorption)
        return np.asarray(16 * np.pi * self.distance_m**2 / (2 * constant))  # directivity of the source: Q = 2


def sample_room(place: str, *, rng: Generator) -> Room:
    """Sample a room of a type.

    Parameters
    ----------
    place : str
        One of `ROOM_TYPES`.
    rng : numpy.random.Generator

    Returns
    -------
    Room
    """
    kind = ROOM_TYPES[place]
    size = np.array([rng.uniform(*span) for span in kind.size_m])
    # stone and glass absorb evenly, curtains and people the highs, panels and windows the lows
    slope = (OCTAVES_HZ / 1000) ** rng.uniform(-0.3, 0.45)
    walls = np.exp(rng.uniform(*np.log(kind.walls)))
    absorption = np.empty((3, 2, len(OCTAVES_HZ)))
    for axis, side in np.ndindex(3, 2):
        special = (kind.ends, None, (kind.floor, kind.ceiling)[side])[axis]
        part = walls * rng.uniform(0.7, 1.4) if special is None else rng.uniform(*special)
        absorption[axis, side] = np.clip(part if special is _OPEN else part * slope, 0.01, 0.99)
    distance = np.exp(rng.uniform(*np.log(kind.distance_m)))
    player = rng.uniform(0.15, 0.85, 3) * size
    player[2] = min(rng.uniform(0.6, 1.6), 0.8 * size[2])
    turn = rng.uniform(0, 2 * np.pi)
    receiver = player + distance * np.array([np.cos(turn), np.sin(turn), 0])
    receiver[2] = min(rng.uniform(0.8, 2.2), 0.9 * size[2])
    return Room(size, absorption, player, np.clip(receiver, 0.05 * size, 0.95 * size))


def sample_room_type(rng: Generator) -> str:
    """Choose one of `ROOM_TYPES`, by their weights."""
    weights = np.array([kind.weight for kind in ROOM_TYPES.values()])
    return list(ROOM_TYPES)[rng.choice(len(weights), p=weights / weights.sum())]


def reverberate(samples: Floats32, room: Room, *, rng: Generator, rate: int = RATE) -> Floats32:
    """Convolve a signal with the impulse response of a room.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
    room : Room
    rng : numpy.random.Generator
    rate : int
        Sample rate, in Hz, to which the impulse response is resampled.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    return convolve(samples, resample(impulse_response(room, rng=rng), rate=RATE, to=rate))


def impulse_response(space: Room, *, rng: Generator) -> Floats32:
    """Compute the impulse response of a room at 44.1 kHz.

    Returns
    -------
    float32 [shape=(samples,)]
        The direct sound is at sample 0, with amplitude 1.
    """
    from scipy.fft import irfft, rfft

    early_s = min(0.12, 4 * float(np.cbrt(np.prod(space.size_m))) / SOUND_M_S)
    late = reverberation(space.rt60_s, energy=space.reverberant, rise_s=early_s, rng=rng)
    delays_s, gains = _images(space)
    soon = delays_s < early_s
    at = np.round(delays_s[soon] * RATE).astype(int)
    size = 16384
    taps = np.zeros((len(OCTAVES_HZ), size), np.float32)
    for octave, band in enumerate(taps):
        np.add.at(band, at, (gains[octave, soon] * (1 - delays_s[soon] / early_s)).astype(np.float32))
    taps[:, 0] = np.exp(-AIR * space.distance_m / 2)  # the direct sound
    early = irfft((rfft(taps) * _bands(size)).sum(0), size)[: size // 2]
    out = np.zeros(max(len(late), len(early)), np.float32)
    out[: len(early)] = early
    out[: len(late)] += late
    return np.asarray(out / out[0], np.float32)


def _images(space: Room, order: int = 2) -> tuple[Floats64, Floats64]:
    """Return delays after the direct sound [shape=(images,)] and relative amplitudes by octave [shape=(7, images)]."""
    turns = np.arange(-order, order + 1)[:, None]
    flips = np.array([0, 1])[None]
    offsets, losses = [], []
    kept = np.log(np.maximum(1 - space.absorption, 1e-4)) / 2
    for axis in range(3):
        images = (1 - 2 * flips) * space.source_m[axis] + 2 * turns * space.size_m[axis]
        offsets.append((images - space.receiver_m[axis]).ravel())
        near, far = np.abs(turns - flips).ravel(), np.abs(turns + 0 * flips).ravel()
        losses.append(kept[axis, 0][:, None] * near + kept[axis, 1][:, None] * far)
    x, y, z = np.meshgrid(*offsets, indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2).ravel()
    loss = losses[0][:, :, None, None] + losses[1][:, None, :, None] + losses[2][:, None, None, :]
    loss = loss.reshape(len(OCTAVES_HZ), -1) - AIR[:, None] * distance / 2
    direct = space.distance_m
    gains = np.exp(loss) * direct / distance
    gains[:, distance <= direct + 1e-9] = 0  # the direct sound itself
    return (distance - direct) / SOUND_M_S, gains


def reverberation(
    rt60_s: Floats64, *, energy: Floats64, rise_s: float, rng: Generator, delay_s: float = 0.0
) -> Floats32:
    """Synthesise diffuse reverberation: noise with an exponential decay in each octave band.

    Parameters
    ----------
    rt60_s, energy : float [shape=(7,)]
        Reverberation time, and energy of the whole tail relative to a unit impulse, in each octave band.
    rise_s : float
        Time until it has its full density.
    rng : numpy.random.Generator
    delay_s : float
        Delay before it begins.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    count = int(min(LONGEST_S, rt60_s.max()) * RATE) + 1
    time = np.arange(count, dtype=np.float32) / RATE
    noises, start = _noises(), int(rng.integers(_noises().shape[1]))
    out = np.zeros(count, np.float32)
    for band, rt60, part in zip(noises, rt60_s, energy, strict=True):
        level = np.sqrt(part * 13.8 / (rt60 * RATE))
        audible = min(count, int(1.2 * rt60 * RATE) + 1)
        out[:audible] += (
            np.float32(level) * np.roll(band, start)[:audible] * np.exp(np.float32(-6.9 / rt60) * time[:audible])
        )
    out *= np.minimum(1, (time + 1 / RATE) / max(rise_s, 1 / RATE))
    fade = min(count, RATE // 20)
    out[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.concatenate([np.zeros(round(delay_s * RATE), np.float32), out])


@lru_cache(maxsize=2)
def _bands(size: int) -> Floats32:
    """Return weights of the octave bands over FFT bins, which sum to 1: float32 [shape=(7, size // 2 + 1)]."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / RATE), 1) / OCTAVES_HZ[0])
    octaves = np.clip(octaves, 0, len(OCTAVES_HZ) - 1)
    return np.asarray(np.maximum(0, 1 - np.abs(octaves - np.arange(len(OCTAVES_HZ))[:, None])), np.float32)


@lru_cache(maxsize=1)
def _noises() -> Floats32:
    """Return noise in octave bands whose sum is white noise of unit power: float32 [shape=(7, samples)]."""
    from scipy.fft import irfft, rfft

    size = 1 << 18
    white = np.random.default_rng(0).standard_normal((len(OCTAVES_HZ), size), dtype=np.float32)
    return np.asarray(irfft(rfft(white) * np.sqrt(_bands(size)), size), np.float32)
