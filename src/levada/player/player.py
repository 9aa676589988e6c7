"""Recordings with beats as players: in a notebook, as a page of one file, or beside other pages."""

from __future__ import annotations

import base64
import html
import json
import math
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.arguments import checked, to_array
from levada.beat_tracking.spectrogram import GRID, log_spectrogram
from levada.errors import InputError, check_number
from levada.io import audio as audio_io
from levada.io.audio import AudioExcerpt
from levada.io.beats import Beats
from levada.io.files import atomic_file
from levada.player.assembly import script

__all__ = ["LANGUAGES", "SPECTROGRAM_FPS", "Player", "check_length", "check_page", "quantise", "save_players"]

AudioLike = str | Path | AudioExcerpt | npt.ArrayLike
BeatsLike = Beats | npt.ArrayLike

LANGUAGES = ("en", "es", "pt")
LONGEST_S = 1200.0
"""A browser decodes a recording as a whole."""
OPUS_RATE = 48_000
KBPS, LEAST_KBPS = 64.0, 14.0
SMALL_KB = 190
SPECTROGRAM_FPS = 50
LOUDEST, QUIETEST = 4.2, -3.5
"""Values of the log spectrogram that are drawn brightest and darkest."""
COARSE = 0xF0
"""Bits of the spectrogram that are kept: sixteen shades."""
SCRIPT = "levada-player.js"
PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 0 auto; padding: 1rem; max-width: 75rem; --levada-player-height: 60vh; }}
p {{ font: 16px/1.5 system-ui, sans-serif; }}
</style>
<body>
{lead}{body}
</body>
</html>
"""


class Player:
    """A recording with its beats, to play with clicks in a notebook or a web page.

    It shows waveform, spectrogram, activations and beats on one time axis, plays clicks on the beats (downbeats
    higher), and scores what its reader taps. As the last value of a notebook's cell it appears below it. It needs
    neither a kernel nor a network.

    Parameters
    ----------
    audio : path-like, AudioExcerpt, or array_like [shape=(channels, samples)] or [shape=(samples,)]
        At most 20 minutes. The beats of an excerpt have the times of the whole recording.
    rate : int, optional
        Of samples, in Hz.
    beats : Beats, array_like [shape=(n,)], or mapping of str to these, optional
        Beats, or times in seconds. Of several, by name, the reader chooses which one has clicks; the first at first.
    reference : Beats or array_like [shape=(n,)], optional
        Beats that are right: taps are scored against them, or else against the beats that have clicks.
    activations : array_like [shape=(frames, 2)] or [shape=(frames,)], optional
        Of beats and downbeats, between 0 and 1, as `BeatTracker.activations` returns them.
    fps : float
        Frames per second of the activations.
    stems : mapping of str to path-like or array_like, optional
        Instruments that are played instead of the audio, each with solo, mute and level: as `Separator.separate`
        returns them, at the same rate.
    title : str, optional
    language : {"en", "es", "pt"}, optional
        Of buttons and messages; by default that of the page, or else of the browser.
    spectrogram : bool
        Whether the spectrogram is shown; it takes about 2 kB a second.

    Raises
    ------
    InputError
        If the audio cannot be read, is empty or too long, or another argument is not as described.

    Examples
    --------
    >>> import levada
    >>> piece = levada.render("candombe", duration_s=4, seed=1)
    >>> player = levada.Player(piece.mixture, piece.rate, beats=piece.beats, title="Candombe")
    >>> player.save("candombe.html")                                                        # doctest: +SKIP
    """

    @checked
    def __init__(
        self,
        audio: AudioLike,
        rate: int | None = None,
        *,
        beats: BeatsLike | Mapping[str, BeatsLike] | None = None,
        reference: BeatsLike | None = None,
        activations: npt.ArrayLike | None = None,
        fps: float = float(GRID.fps),
        stems: Mapping[str, str | Path | npt.ArrayLike] | None = None,
        title: str | None = None,
        language: str | None = None,
        spectrogram: bool = True,
    ) -> None:
        if language is not None and language not in LANGUAGES:
            raise InputError(f"there is no language {language!r}: use one of {', '.join(LANGUAGES)}")
        check_number("fps", fps, 1, 10_000)
        samples, rate = audio_io.samples_of(audio, rate)
        length_s = samples.shape[1] / rate
        check_length(length_s, _path(audio))
        start_s = audio.start_s if isinstance(audio, AudioExcerpt) else 0.0
        layers = dict(beats) if isinstance(beats, Mapping) else {} if beats is None else {"beats": beats}
        self.title, self.language = title, language
        self._samples, self._rate = {"": audio_io.to_mono(samples)}, rate
        for name, source in (stems or {}).items():
            part, part_rate = audio_io.samples_of(source, None if isinstance(source, str | Path) else rate)
            if part_rate != rate:
                raise InputError(f"the stem {name!r} has {part_rate} Hz, the recording {rate} Hz: resample it")
            self._samples[str(name)] = audio_io.to_mono(part)
        self._facts: dict[str, Any] = {"title": title, "language": language, "duration_s": length_s, "start_s": start_s}
        rows = [("reference", reference, True)] if reference is not None else []
        rows += [(str(name), layer, False) for name, layer in layers.items()]
        self._facts["layers"] = [
            {"name": name, "is_reference": is_reference, "beats": _rows(layer, start_s, length_s)}
            for name, layer, is_reference in rows
        ]
        if spectrogram:
            bands = quantise(log_spectrogram(samples, rate))
            packed = {"fps": SPECTROGRAM_FPS, "bands": bands.shape[1], "data": _packed(bands & np.uint8(COARSE))}
            self._facts["spectrogram"] = packed
        if activations is not None:
            self._facts["activations"] = {"fps": fps, "data": _packed(_curves(activations))}

    @checked
    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write a web page of one file, with the sound in it: it works from a disk, without a server.

        Parameters
        ----------
        path : path-like
            Of a file that ends in ``.html``.
        force : bool
            Whether a file that exists may be replaced.

        Raises
        ------
        InputError
            If the file exists, is not named as a page, or cannot be written.
        """
        save_players(path, [self], title=self.title or Path(path).stem, force=force)

    @checked
    def write(
        self, folder: str | Path, name: str, *, address: str = "", most_kb: float = SMALL_KB, force: bool = False
    ) -> str:
        """Write the sound and the data into a folder of a web site, and return the element that plays them.

        The files are ``NAME.opus``, ``NAME.json``, an Opus file for each stem, and ``levada-player.js``.

        Parameters
        ----------
        folder : path-like
            It is created where it is missing.
        name : str
            Of the files, without a suffix.
        address : str
            Of the folder, as seen from the page: empty for pages in it, or such as "_static/audio/".
        most_kb : float
            Size of each Opus file at most, in kB: of long recordings the bit rate is lower.
        force : bool
            Whether files that exist may be replaced.

        Returns
        -------
        str
            HTML.

        Raises
        ------
        InputError
            If the recording is too long for the size, a file exists, or it cannot be written.
        """
        if not name or Path(name).name != name:
            raise InputError(f"{name!r} is not the name of a file")
        root, files = Path(folder), {}
        root.mkdir(parents=True, exist_ok=True)
        for stem in self._samples:
            files[stem] = f"{name}.{stem}.opus" if stem else f"{name}.opus"
            self._write_opus(root / files[stem], stem, most_kb=most_kb, force=force)
        with atomic_file(root / f"{name}.json", force=force) as temporary:
            temporary.write_text(self._json(files), encoding="utf-8")
        with atomic_file(root / SCRIPT, force=True) as temporary:
            temporary.write_text(script(), encoding="utf-8")
        source, sound = (html.escape(f"{address}{file}") for file in (f"{name}.json", files[""]))
        fallback = f'<audio controls preload="none" src="{sound}"></audio>'
        element = f'<levada-player src="{source}">{fallback}</levada-player>'
        return f'<script src="{html.escape(address)}{SCRIPT}" defer></script>{element}'

    def _repr_html_(self) -> str:
        return f"{self._element()}\n<script>{script()}</script>"

    def _element(self) -> str:
        addresses = dict[str, str]()
        with tempfile.TemporaryDirectory() as folder:
            for stem in self._samples:
                path = Path(folder) / f"{len(addresses)}.opus"
                self._write_opus(path, stem)
                encoded = base64.b64encode(path.read_bytes()).decode("ascii")
                addresses[stem] = f"data:audio/ogg;codecs=opus;base64,{encoded}"
        data = self._json(addresses).replace("<", "\\u003c")
        return f'<levada-player><script type="application/json">{data}</script></levada-player>'

    def _json(self, addresses: Mapping[str, str]) -> str:
        stems = {stem: address for stem, address in addresses.items() if stem}
        facts = {**self._facts, "audio": addresses[""], "stems": stems}
        return json.dumps(facts, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def _write_opus(self, path: Path, stem: str, *, most_kb: float = math.inf, force: bool = False) -> None:
        samples = self._samples[stem]
        kbps = min(KBPS, 8 * most_kb * self._rate / len(samples))
        if kbps < LEAST_KBPS:
            longest_s = 8 * most_kb / LEAST_KBPS
            raise InputError(f"{most_kb:g} kB have place for {longest_s:.0f} s: give an excerpt, or a larger most_kb")
        sound = audio_io.resample(samples, rate=self._rate, to=OPUS_RATE)
        sound = sound / max(1.0, float(np.abs(sound).max()))  # of all stems alike would be quieter
        audio_io.write(path, sound, rate=OPUS_RATE, kbps=kbps, force=force)


def save_players(
    path: str | Path, players: Sequence[Player], *, title: str, lead: Sequence[str] = (), force: bool = False
) -> None:
    """Write several players into a web page of one file; see `Player.save`.

    Parameters
    ----------
    path : path-like
        Of a file that ends in ``.html``.
    players : sequence of Player
        In this order. The page is in the language of the first one.
    title : str
        Of the page.
    lead : sequence of str
        Paragraphs above the players.
    force : bool
        Whether a file that exists may be replaced.
    """
    check_page(path)
    body = "\n".join([*(player._element() for player in players), f"<script>{script()}</script>"])
    language = next((player.language for player in players), None) or "en"
    paragraphs = "".join(f"<p>{html.escape(one)}</p>\n" for one in lead)
    page = PAGE.format(title=html.escape(title), language=language, lead=paragraphs, body=body)
    with atomic_file(path, force=force) as temporary:
        temporary.write_text(page, encoding="utf-8")


def check_page(path: str | Path) -> None:
    """Refuse a name that is not one of a web page."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise InputError("a web page is named .html", path=path)


def check_length(length_s: float, path: str | Path | None = None) -> None:
    """Refuse a recording that is empty, or too long for a browser to decode as a whole."""
    if not 0 < length_s <= LONGEST_S:
        limit = f"a player has from one sample to {LONGEST_S / 60:.0f} minutes; give an excerpt"
        raise InputError(f"lasts {length_s:.1f} s: {limit}", path=path)


def quantise(bands: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return a spectrogram as shades of one byte, 50 frames a second.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        As of `beat_tracking.spectrogram.log_spectrogram`.

    Returns
    -------
    uint8 [shape=(frames, 81)]
    """
    step = round(GRID.fps / SPECTROGRAM_FPS)
    louder = np.maximum.reduceat(bands, np.arange(0, len(bands), step), axis=0)
    shades: npt.NDArray[np.uint8] = ((louder - QUIETEST) / (LOUDEST - QUIETEST) * 255).clip(0, 255).astype(np.uint8)
    return shades


def _rows(beats: BeatsLike, start_s: float, length_s: float) -> list[list[float | int]]:
    """Return time, position and confidences of the beats of an excerpt; times from its beginning."""
    found = beats if isinstance(beats, Beats) else Beats(beats)
    inside = found.between(start_s, start_s + length_s).shift(-start_s)
    columns: list[Any] = [inside.times_s.round(4).tolist(), inside.positions.tolist()]
    if inside.confidence is not None:
        columns.append(inside.confidence.round(3).tolist())
        if inside.position_confidence is not None:
            columns.append(inside.position_confidence.round(3).tolist())
    return [list(row) for row in zip(*columns, strict=True)]


def _curves(activations: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    curves: npt.NDArray[np.float32] = to_array("activations", activations, np.float32)
    if curves.ndim == 1 or curves.shape[1:] == (1,):
        curves = np.stack([curves.ravel(), np.zeros(len(curves), np.float32)], axis=1)
    if curves.ndim != 2 or curves.shape[1] != 2 or not np.isfinite(curves).all():
        raise InputError(f"activations are finite numbers of shape (frames, 2) or (frames,), not {curves.shape}")
    return (curves.clip(0, 1) * 255).astype(np.uint8)


def _packed(values: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode("ascii")


def _path(source: AudioLike) -> str | Path | None:
    if isinstance(source, AudioExcerpt):
        return source.path
    return source if isinstance(source, str | Path) else None
