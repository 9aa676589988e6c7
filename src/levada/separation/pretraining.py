"""Pre-training of the base separator on songs rendered from every tradition that comes with levada.

Singers, strings and winds are one stem, so that drums can be separated from it. Songs are rendered first and kept in
the working folder, so a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from levada.errors import check_number
from levada.io.files import atomic_file
from levada.io.toml import read_toml
from levada.io.workers import process_pool
from levada.learning.adaptation import train_into
from levada.learning.card import Card
from levada.learning.pretraining import build_settings, check_settings, soundfont_digests
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
    from levada.separation.examples import Example, Excerpt, StemBatch
    from levada.separation.networks.mask_net import MaskNet

__all__ = ["StemPretrainSettings", "pretrain_separator", "read_stem_settings"]

SONGS = "songs"


@dataclass(frozen=True)
class StemPretrainSettings:
    """Settings of the pre-training of the base separator.

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
        check_settings(self, may_be_zero=("soundfont_share", "seed"), fractions=("soundfont_share",))
        check_number("song_s", self.song_s, 1)


def read_stem_settings(path: str | Path) -> StemPretrainSettings:
    """Read settings from a TOML file with `task = "stems"`.

    Raises
    ------
    InputError
        As for `levada.learning.pretraining.build_settings`, and if it cannot be read.
    """
    table = read_toml(path)
    table.pop("task", None)
    return build_settings(StemPretrainSettings, table, path=path)


def pretrain_separator(
    settings: StemPretrainSettings,
    *,
    workers: int = 1,
    out: str | Path,
    force: bool = False,
    progress: Progress | None = None,
) -> Weights:
    """Render songs, train a base separator on them and save it with its card and its log.

    Parameters
    ----------
    settings : StemPretrainSettings
    workers : int
        Processes that render.
    out, force, progress
        See `levada.learning.adaptation.train_into`.
    """
    import torch

    from levada.learning.weights import Weights
    from levada.separation.examples import StemDataset, StemSettings, sample_excerpt, stem_loss
    from levada.separation.examples import train as train_on_excerpts
    from levada.separation.networks.mask_net import MaskNet, MaskSettings

    excerpts = StemSettings(
        settings.steps, settings.learning_rate, settings.batch, settings.excerpt_s, average=0.995, seed=settings.seed
    )

    def train(folder: Path, report: Progress | None) -> Weights:
        songs = _songs(settings, folder / SONGS, workers)
        instruments = tuple(sorted({name for song in songs for name in song.instruments}))
        torch.manual_seed(settings.seed)
        trained = train_on_excerpts(
            _with_rows(MaskNet(MaskSettings(instruments))),
            partial(sample_excerpt, StemDataset(songs), excerpts),
            partial(_collate, instruments=instruments),
            settings=excerpts,
            loss=partial(stem_loss, softness_db=excerpts.softness_db),
            folder=folder,
            progress=report,
        )
        training = asdict(settings) | {"excerpts": asdict(excerpts)}
        return Weights(trained.net, _card(settings, Path(out).name), training=training)

    config = asdict(settings) | {"content": soundfont_digests(settings.soundfonts)}
    model: Weights = train_into(out, train=train, config=config, force=force, progress=progress)
    return model


class _Input(NamedTuple):
    """Features of excerpts, and which instruments are separated in each."""

    bands: Tensor
    rows: Tensor

    @property
    def device(self) -> torch.device:
        """Where the tensors lie."""
        return self.bands.device


def _with_rows(net: MaskNet) -> nn.Module:
    """Wrap a network so that an excerpt has outputs for its instruments alone: all would need too much memory."""
    from torch import nn

    class WithRows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, batch: _Input) -> Tensor:
            return self.net.select(batch.bands, batch.rows)

    return WithRows()


def _collate(excerpts: Sequence[Excerpt], instruments: tuple[str, ...]) -> StemBatch:
    import torch

    from levada.separation.examples import collate

    batch = collate(excerpts)
    rows = torch.zeros(batch.included.shape, dtype=torch.int64)
    for index, one in enumerate(excerpts):
        rows[index, : len(one.instruments)] = torch.tensor([instruments.index(name) for name in one.instruments])
    return batch._replace(features=_Input(batch.features, rows))  # type: ignore[arg-type]


def _songs(settings: StemPretrainSettings, folder: Path, workers: int) -> list[Example]:
    """Render the songs that do not exist yet, and read them all."""
    from levada.separation.examples import Example

    folder.mkdir(exist_ok=True)
    jobs = [(name, number) for number in range(settings.songs) for name in list_traditions()]
    todo = [job for job in jobs if not _place(folder, *job).exists()]
    with process_pool(workers) as pool:
        for future in as_completed([pool.submit(_render, settings, folder, *job) for job in todo]):
            future.result()
    songs = []
    for job in jobs:
        with np.load(_place(folder, *job)) as kept:
            songs.append(Example({name: kept[name] for name in kept.files}, _instruments(job[0])))
    return songs


def _place(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}-{number:03}.npz"


def _instruments(name: str) -> tuple[str, ...]:
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
        origin=f"Trained from nothing by `levada pretrain` in {settings.steps} steps on rendered music alone, "
        "without recordings.",
        licence="Apache-2.0",
        data=f"{count} songs of {settings.song_s:g} s with their stems, rendered by levada from its descriptions of "
        f"{len(list_traditions())} traditions{fonts if settings.soundfonts else ''}. "
        f"Sources: {', '.join(list_traditions())}.",
        minutes=round(count * settings.song_s / 60, 1),
        scores={"on songs and instruments held out": "benchmarks/RESULTS.md of the project"},
    )
