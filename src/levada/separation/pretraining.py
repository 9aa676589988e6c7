"""The base separator from nothing: every tradition that levada knows is rendered, and taken apart again.

What is not struck - singers, strings, winds - is one stem, so that drums can be told from it. Songs are rendered first
and kept beside the run, so that a killed one goes on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from levada.errors import InputError
from levada.io import audio
from levada.io.files import atomic_file
from levada.io.run_folder import working_folder
from levada.io.toml import read_toml
from levada.io.workers import process_pool
from levada.learning.card import Card
from levada.synth.instrument_names import stem_names
from levada.synth.instruments import InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.soundfont import SoundFont, find_soundfont
from levada.synth.render import render_multitrack
from levada.synth.traditions import list_traditions, read_tradition

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from levada.learning.training import Progress
    from levada.learning.weights import Weights
    from levada.separation.examples import Example, StemBatch, StemDataset, StemSettings
    from levada.separation.networks.mask_net import MaskNet

__all__ = ["StemPretrainSettings", "make_separator", "read_stem_settings"]

SONGS = "songs"


@dataclass(frozen=True)
class StemPretrainSettings:
    """How the base separator is made.

    Parameters
    ----------
    songs : int
        Of each tradition.
    song_s : float
    soundfonts : tuple of str
        Names of SoundFonts that play `soundfont_share` of the songs; the others are synthesised.
    soundfont_share : float
    steps : int
    learning_rate : float
    batch : int
    excerpt_s : float
    seed : int
    """

    songs: int = 34
    song_s: float = 8.0
    soundfonts: tuple[str, ...] = ()
    soundfont_share: float = 0.4
    steps: int = 6000
    learning_rate: float = 2e-3
    batch: int = 8
    excerpt_s: float = 2.2
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "soundfonts", tuple(self.soundfonts))
        for name, least in (("songs", 1), ("song_s", 1), ("steps", 1), ("learning_rate", 1e-9), ("batch", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
                raise InputError(f"{name} must be a number from {least:g} up, not {value!r}")
        if not 0 <= self.soundfont_share <= 1:
            raise InputError(f"soundfont_share must be a number from 0 to 1, not {self.soundfont_share!r}")


def read_stem_settings(path: str | Path) -> StemPretrainSettings:
    """Settings from a TOML file that says `task = "stems"`.

    Raises
    ------
    InputError
        If it cannot be read, names a setting that does not exist, or one has a value that makes no sense.
    """
    table = read_toml(path)
    table.pop("task", None)
    unknown = sorted(set(table) - {entry.name for entry in fields(StemPretrainSettings)})
    if unknown:
        raise InputError(f"names settings that do not exist: {', '.join(unknown)}", path=path)
    if not isinstance(table.get("soundfonts", []), list):
        raise InputError(f"soundfonts must be a list, not {table['soundfonts']!r}", path=path)
    try:
        return StemPretrainSettings(**table)
    except InputError as error:
        raise InputError(error.problem, path=path) from None


def make_separator(
    settings: StemPretrainSettings,
    *,
    out: str | Path,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Weights:
    """Render, train and save; a killed run goes on where it was.

    Parameters
    ----------
    settings : StemPretrainSettings
    out : path-like
        The folder of the model; `NAME.part` beside it holds an unfinished run.
    workers : int
        Processes that render.
    force : bool
        Whether a model that exists may be replaced.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights
    """
    import torch

    from levada.learning.training import LOG, FitSettings, fit
    from levada.learning.weights import Weights, save
    from levada.separation.examples import CLIP, StemDataset, StemSettings, stem_loss
    from levada.separation.networks.mask_net import MaskNet, MaskSettings

    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    fonts = {name: audio.content_hash(find_soundfont(name)) for name in settings.soundfonts}
    run = asdict(settings) | {"content": fonts}
    with working_folder(out.with_name(out.name + ".part"), run=run, force=force) as part:
        songs = _songs(settings, part / SONGS, workers)
        instruments = tuple(sorted({name for song in songs for name in song.instruments}))
        torch.manual_seed(settings.seed)
        lesson = StemSettings(
            settings.steps, settings.learning_rate, settings.batch, settings.excerpt_s, seed=settings.seed
        )
        schedule = FitSettings(settings.steps, settings.learning_rate, average=0.995, seed=settings.seed)
        told = fit(
            _telling(MaskNet(MaskSettings(instruments))),
            partial(_batches, StemDataset(songs), instruments, lesson),
            settings=replace(schedule, weight_decay=lesson.weight_decay, clip=CLIP),
            loss=partial(stem_loss, softness_db=lesson.softness_db),
            folder=part,
            progress=progress,
        )
        made = Weights(told.net, _card(settings, out.name), training=asdict(settings) | {"lesson": asdict(lesson)})
        save(out, made, force=force)
        if (part / LOG).exists():
            os.replace(part / LOG, out / LOG)
    return made


class _Heard(NamedTuple):
    """What the network hears of excerpts, and which instruments each asks for."""

    bands: Tensor
    rows: Tensor

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.bands.device


def _telling(net: MaskNet) -> nn.Module:
    """A network of which each excerpt asks for its own instruments: there are too many to ask for all."""
    from torch import nn

    class Telling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, heard: _Heard) -> Tensor:
            return self.net.some(heard.bands, heard.rows)

    return Telling()


def _batches(
    dataset: StemDataset, instruments: tuple[str, ...], settings: StemSettings, start: int
) -> Iterator[StemBatch]:
    import torch

    from levada.separation.examples import collate, prefetch, sample_excerpts

    def made(step: int) -> StemBatch:
        heard = sample_excerpts(dataset, settings, step)
        width = max(len(one.instruments) for one in heard)
        batch = collate(heard, [range(len(one.instruments)) for one in heard], width)
        rows = torch.zeros((len(heard), width), dtype=torch.int64)
        for index, one in enumerate(heard):
            rows[index, : len(one.instruments)] = torch.tensor([instruments.index(name) for name in one.instruments])
        return batch._replace(features=_Heard(batch.features, rows))  # type: ignore[arg-type]

    return prefetch(made, start, settings.steps)


def _songs(settings: StemPretrainSettings, folder: Path, workers: int) -> list[Example]:
    """Render what is not there yet."""
    from levada.separation.examples import Example

    folder.mkdir(exist_ok=True)
    jobs = [(name, number) for number in range(settings.songs) for name in list_traditions()]
    todo = [job for job in jobs if not _place(folder, *job).exists()]
    with process_pool(workers) as lent:
        for done in as_completed([lent.submit(_render, settings, folder, *job) for job in todo]):
            done.result()
    songs = []
    for job in jobs:
        with np.load(_place(folder, *job)) as kept:
            songs.append(Example({name: kept[name] for name in kept.files}, _told_apart(job[0])))
    return songs


def _place(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:03}.npz"


def _told_apart(name: str) -> tuple[str, ...]:
    return tuple(sorted(set(stem_names(read_tradition(name)).values())))


def _render(settings: StemPretrainSettings, folder: Path, name: str, number: int) -> None:
    tradition = read_tradition(name)
    rng = np.random.default_rng([settings.seed, list(list_traditions()).index(name), number])
    fonts: list[InstrumentSource] = [synthesise]
    if settings.soundfonts and rng.random() < settings.soundfont_share:
        font = settings.soundfonts[int(rng.integers(len(settings.soundfonts)))]
        fonts = [mix_sources([(1.0, SoundFont(find_soundfont(font))), (0.0, synthesise)])]
    song = render_multitrack(tradition, duration_s=settings.song_s, rng=rng, sounds=fonts[0])
    voices, stems = stem_names(tradition), dict[str, Any]()
    loud = float(np.sqrt(np.mean(np.square(song.mixture, dtype=np.float64)))) + 1e-9
    for instrument, stem in song.stems.items():
        stems[voices[instrument]] = (stem[0] / np.float32(loud)).astype(np.float16)
    place = _place(folder, name, number)
    with atomic_file(place, force=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **stems)


def _card(settings: StemPretrainSettings, name: str) -> Card:
    count = settings.songs * len(list_traditions())
    fonts = f", {settings.soundfont_share:.0%} of them with {', '.join(settings.soundfonts)} (MIT)"
    return Card(
        name=name,
        origin=f"Trained from nothing by `levada pretrain` in {settings.steps} steps on rendered music alone; it has "
        "heard no recording.",
        licence="Apache-2.0",
        data=f"{count} songs of {settings.song_s:g} s with their stems, rendered by levada from its descriptions of "
        f"{len(list_traditions())} traditions{fonts if settings.soundfonts else ''}. "
        f"Sources: {', '.join(list_traditions())}.",
        minutes=round(count * settings.song_s / 60, 1),
        scores={"on songs and instruments never heard": "benchmarks/RESULTS.md of the project"},
    )
