"""Pre-training of a small U-Net of one instrument on composed pieces of a Western band, to be fine-tuned to others."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from levada.errors import InputError, check_number
from levada.io.files import atomic_file
from levada.io.toml import read_toml
from levada.io.workers import process_pool
from levada.learning.adaptation import train_into
from levada.learning.card import Card
from levada.learning.pretraining import build_settings, check_settings, soundfont_digests
from levada.synth.acoustics import mix_down
from levada.synth.composition import Material, compose
from levada.synth.instruments import RATE, InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.soundfont import SoundFont, find_soundfont
from levada.synth.render import synthesise_stems

if TYPE_CHECKING:
    from levada.learning.training import Progress
    from levada.learning.weights import Weights
    from levada.separation.examples import Example

__all__ = ["UNetPretrainSettings", "pretrain_unet", "read_unet_settings"]

SONGS = "songs"


@dataclass(frozen=True)
class UNetPretrainSettings:
    """Settings of the pre-training of a U-Net.

    Parameters
    ----------
    target : str
        The voice that is separated from all others, as in `levada.synth.instruments`.
    songs : int
    song_s : float
    soundfonts : tuple of str
        Names of SoundFonts that play `soundfont_share` of the instruments; the others are synthesised.
    soundfont_share : float
    channels : tuple of int
    bins : int
    steps, learning_rate, batch, seed
        See `levada.separation.unet_training.UNetTraining`.
    """

    target: str = "bass"
    songs: int = 160
    song_s: float = 8.0
    soundfonts: tuple[str, ...] = ()
    soundfont_share: float = 0.4
    channels: tuple[int, ...] = (8, 16, 32, 64, 128)
    bins: int = 256
    steps: int = 600
    learning_rate: float = 2e-3
    batch: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("soundfonts", "channels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_settings(self, may_be_zero=("soundfont_share", "seed"), fractions=("soundfont_share",))
        check_number("song_s", self.song_s, 4)


def read_unet_settings(path: str | Path) -> UNetPretrainSettings:
    """Read settings from a TOML file with `task = "stems"` and `network = "unet"`.

    Raises
    ------
    InputError
        As for `levada.learning.pretraining.build_settings`, and if it cannot be read.
    """
    table = {name: value for name, value in read_toml(path).items() if name not in ("task", "network")}
    return build_settings(UNetPretrainSettings, table, path=path)


def pretrain_unet(
    settings: UNetPretrainSettings,
    *,
    workers: int = 1,
    out: str | Path,
    force: bool = False,
    progress: Progress | None = None,
) -> Weights:
    """Compose and render pieces, train a U-Net on them and save it with its card and its log.

    Parameters
    ----------
    settings : UNetPretrainSettings
    workers : int
        Processes that render.
    out, force, progress
        See `levada.learning.adaptation.train_into`.

    Raises
    ------
    InputError
        If no piece has the voice, or a SoundFont is not installed.
    """
    from levada.learning.weights import Weights
    from levada.separation.examples import StemDataset
    from levada.separation.networks.unet import REST
    from levada.separation.unet_training import UNetTraining, train_unet

    def train(folder: Path, report: Progress | None) -> Weights:
        songs = _songs(settings, folder / SONGS, workers)
        training = UNetTraining(
            settings.steps, settings.learning_rate, settings.batch,
            channels=settings.channels, bins=settings.bins, seed=settings.seed,
        )  # fmt: skip
        net = train_unet(StemDataset(songs), (settings.target, REST), settings=training, folder=folder, progress=report)
        facts = asdict(settings) | {"training": asdict(training)}
        return Weights(net, _card(settings, Path(out).name), training=facts)

    config = asdict(settings) | {"content": soundfont_digests(settings.soundfonts)}
    model: Weights = train_into(out, train=train, config=config, force=force, progress=progress)
    return model


def _songs(settings: UNetPretrainSettings, folder: Path, workers: int) -> Sequence[Example]:
    """Render the pieces that do not exist yet, and read them all."""
    from levada.separation.examples import Example
    from levada.separation.networks.unet import REST

    folder.mkdir(exist_ok=True)
    places = [folder / f"{number:04}.npz" for number in range(settings.songs)]
    todo = [number for number, place in enumerate(places) if not place.exists()]
    with process_pool(workers) as pool:
        for future in as_completed([pool.submit(_render, settings, places[number], number) for number in todo]):
            future.result()
    songs = []
    for place in places:
        with np.load(place) as kept:
            songs.append(Example({name: kept[name] for name in kept.files}, (settings.target, REST)))
    if not any(settings.target in song.stems for song in songs):
        raise InputError(f"no piece has a {settings.target}: it is not an instrument of a band")
    return songs


def _render(settings: UNetPretrainSettings, place: Path, number: int) -> None:
    """Write the target and the sum of everything else, in one room, relative to the level of the mixture."""
    from levada.separation.networks.unet import REST

    rng = np.random.default_rng([settings.seed, number])
    share = settings.soundfont_share / max(1, len(settings.soundfonts))
    fonts = [(share, SoundFont(find_soundfont(name))) for name in settings.soundfonts]
    sounds: InstrumentSource = mix_sources([*fonts, (1 - share * len(fonts), synthesise)])
    performance = compose(rng, Material(drumless=0.0, piece_s=settings.song_s))
    played: dict[str, list[np.ndarray]] = {}
    for part, stem in synthesise_stems(performance, rng=rng, sounds=sounds).items():
        if stem.any():
            name = settings.target if performance.voices[part] == settings.target else REST
            played.setdefault(name, []).append(stem[0])
    stems = mix_down(played, rng=rng, rate=RATE)
    loud = float(np.sqrt(np.mean(np.square(sum(stems.values()), dtype=np.float64)))) + 1e-9
    with atomic_file(place, force=True) as temporary, open(temporary, "wb") as file:
        scaled: dict[str, Any] = {name: (stem / np.float32(loud)).astype(np.float16) for name, stem in stems.items()}
        np.savez(file, **scaled)


def _card(settings: UNetPretrainSettings, name: str) -> Card:
    minutes = settings.songs * settings.song_s / 60
    fonts = f", {settings.soundfont_share:.0%} of the instruments by {', '.join(settings.soundfonts)} (MIT)"
    return Card(
        name=name,
        origin=f"U-Net trained from nothing by `levada pretrain` in {settings.steps} steps to separate "
        f"{settings.target} from the rest of a band, without recordings. It is a start for fine-tuning to another "
        "instrument.",
        licence="Apache-2.0",
        data=f"{settings.songs} pieces of {settings.song_s:g} s ({minutes / 60:.2g} hours): drum kits, folk tunes in "
        f"the public domain and invented bands, composed and rendered by levada{fonts if settings.soundfonts else ''}.",
        minutes=round(minutes, 1),
        scores={f"{settings.target} on pieces held out": "benchmarks/RESULTS.md of the project"},
    )
