"""Pre-training of the base separator on songs rendered from every tradition that comes with levada.

Singers, strings and winds are one stem, so that drums can be separated from it. Songs are rendered first and kept in
the working folder, so a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from levada.errors import InputError, check_number
from levada.io.files import atomic_file
from levada.io.toml import read_toml
from levada.io.workers import process_pool
from levada.learning.adaptation import train_into
from levada.learning.card import Card
from levada.learning.pretraining import build_settings, check_settings, soundfont_digests
from levada.separation.augmentation import NO_AUGMENTATION, StemAugmentation
from levada.synth.instrument_names import stem_names
from levada.synth.instruments import InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.one_shots import OneShots, one_shots_digest
from levada.synth.instruments.soundfont import SoundFont, find_soundfont, licence_of
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

SONGS, HELD_OUT = "songs", "held-out"
SHARES = ("soundfont_share", "one_shots_share")
VALIDATION_SEED = 70_000
"""Added to the seed for songs held out."""


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
    one_shots : str
        A folder of recorded strokes, or a TOML file that names them (`levada.synth.instruments.one_shots`), which play
        `one_shots_share` of the songs, with a SoundFont or synthesis for the instruments that they lack; none where it
        is empty.
    one_shots_share : float
    start : str
        The separator to start from, as a folder or the name of one that ships; a new network where it is empty.
    alpha : float
        Weight of the trained network in the interpolation with the one that it started from, if there is one.
    interpolate_with : str
        Another network to interpolate with, as of an earlier stage; that of `start` where it is empty.
    augmentation : StemAugmentation
    validation_soundfont : str
        A SoundFont that plays the songs held out; none where it is empty.
    validate_every : int
        Steps from one validation to the next.
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
    one_shots: str = ""
    one_shots_share: float = 0.0
    start: str = ""
    alpha: float = 1.0
    interpolate_with: str = ""
    augmentation: StemAugmentation = field(default_factory=StemAugmentation)
    validation_soundfont: str = ""
    validate_every: int = 500
    steps: int = 6000
    learning_rate: float = 2e-3
    batch: int = 8
    excerpt_s: float = 2.2
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "soundfonts", tuple(self.soundfonts))
        check_settings(self, may_be_zero=("alpha", "seed", *SHARES), fractions=("alpha", *SHARES))
        if self.soundfonts and self.soundfont_share + self.one_shots_share > 1:
            raise InputError("soundfont_share and one_shots_share are at most 1 together")
        if bool(self.one_shots) != bool(self.one_shots_share):
            raise InputError("one_shots and one_shots_share need each other")
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
    changes = table.pop("augmentation", {})
    if not isinstance(changes, dict):
        raise InputError(f"augmentation must be a table, not {changes!r}", path=path)
    for name in ("start", "interpolate_with"):
        given = table.get(name)
        if isinstance(given, str) and (Path(path).parent / given).is_dir():
            table[name] = str(Path(path).parent / given)
    if isinstance(table.get("one_shots"), str) and table["one_shots"]:
        table["one_shots"] = str(Path(path).parent / table["one_shots"])
    augmentation = build_settings(StemAugmentation, changes, path=path)
    return build_settings(StemPretrainSettings, table, path=path, augmentation=augmentation)


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

    from levada.learning.weights import Weights, digest, interpolate
    from levada.separation.examples import StemDataset, StemSettings, sample_excerpt, stem_loss
    from levada.separation.examples import train as train_on_excerpts
    from levada.separation.networks.mask_net import MaskNet, MaskSettings
    from levada.separation.pretrained import base_weights

    excerpts = StemSettings(
        settings.steps, settings.learning_rate, settings.batch, settings.excerpt_s,
        augmentation=settings.augmentation, average=0.995, seed=settings.seed,
    )  # fmt: skip
    start = base_weights(settings.start) if settings.start else None
    if start is not None and not isinstance(start.net, MaskNet):
        raise InputError("pre-training starts from a mask network only", path=settings.start)
    earlier = base_weights(settings.interpolate_with) if settings.interpolate_with else start

    def train(folder: Path, report: Progress | None) -> Weights:
        songs = _songs(settings, folder / SONGS, workers)
        instruments = tuple(sorted({name for song in songs for name in song.instruments}))
        torch.manual_seed(settings.seed)
        net = MaskNet(MaskSettings(instruments)) if start is None else start.net.with_instruments(instruments)
        put_together = partial(_collate, instruments=instruments)
        loss = partial(stem_loss, softness_db=excerpts.softness_db)
        held_out = _held_out(settings, folder, workers, put_together)
        trained = train_on_excerpts(
            _with_rows(net),
            partial(sample_excerpt, StemDataset(songs), excerpts),
            put_together,
            settings=excerpts,
            loss=loss,
            folder=folder,
            validate=partial(_scores, batches=held_out, loss=loss) if held_out else None,
            validate_every=settings.validate_every,
            progress=report,
        ).net
        before = None if earlier is None else earlier.net.with_instruments(instruments)
        result = trained if before is None else interpolate(before, trained, alpha=settings.alpha)
        names = {name: Path(getattr(settings, name)).name for name in ("start", "interpolate_with", "one_shots")}
        training = asdict(settings) | names | {"excerpts": asdict(excerpts)}
        return Weights(
            result, _card(settings, Path(out).name, None if start is None else start.card), training=training
        )

    used = [name for name in (*settings.soundfonts, settings.validation_soundfont) if name]
    config = asdict(settings) | {"content": soundfont_digests(used)}
    if settings.one_shots:
        config |= {"one_shots": one_shots_digest(settings.one_shots)}
    if start is not None:
        config |= {"start": digest(start)}
    if earlier is not None:
        config |= {"interpolate_with": digest(earlier)}
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


def _held_out(
    settings: StemPretrainSettings, folder: Path, workers: int, put_together: Callable[[Sequence[Excerpt]], StemBatch]
) -> list[StemBatch]:
    """Return batches of songs played by a SoundFont that is held out, as they are: none where none is held out."""
    from levada.separation.examples import StemDataset, StemSettings, sample_excerpt

    if not settings.validation_soundfont:
        return []
    other = replace(
        settings, songs=1, soundfonts=(settings.validation_soundfont,), soundfont_share=1.0, one_shots="",
        one_shots_share=0.0, seed=settings.seed + VALIDATION_SEED,
    )  # fmt: skip
    songs = _songs(other, folder / HELD_OUT, workers)
    unchanged = StemSettings(excerpt_s=settings.song_s, level_db=0.0, augmentation=NO_AUGMENTATION)
    rng = np.random.default_rng(0)
    excerpts = [sample_excerpt(StemDataset([song]), unchanged, rng) for song in songs]
    return [put_together(excerpts[first : first + settings.batch]) for first in range(0, len(songs), settings.batch)]


def _scores(
    net: nn.Module, batches: Sequence[StemBatch], loss: Callable[[Tensor, StemBatch], Tensor]
) -> dict[str, float]:
    """Return the mean energy of the error relative to the stem, in dB, of songs held out."""
    import torch

    with torch.inference_mode():
        weighted = [(float(loss(net(batch.features), batch)), float(batch.included.sum())) for batch in batches]
    return {"held_out": sum(value * weight for value, weight in weighted) / sum(weight for _, weight in weighted)}


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
    song = render_multitrack(tradition, duration_s=settings.song_s, rng=rng, sounds=_sounds(settings, rng))
    voices, stems = stem_names(tradition), dict[str, Any]()
    loud = float(np.sqrt(np.mean(np.square(song.mixture, dtype=np.float64)))) + 1e-9
    for instrument, stem in song.stems.items():
        stems[voices[instrument]] = (stem[0] / np.float32(loud)).astype(np.float16)
    place = _place(folder, name, number)
    with atomic_file(place, force=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **stems)


def _sounds(settings: StemPretrainSettings, rng: np.random.Generator) -> InstrumentSource:
    """Sample what plays a song: synthesis, a SoundFont, or recorded strokes (beside a SoundFont, if there are any)."""
    drawn = rng.random() if settings.soundfonts or settings.one_shots_share else 1.0
    if drawn >= settings.soundfont_share * bool(settings.soundfonts) + settings.one_shots_share:
        return synthesise
    fonts: list[tuple[float, InstrumentSource]] = []
    if settings.soundfonts:
        name = settings.soundfonts[int(rng.integers(len(settings.soundfonts)))]
        fonts.append((1.0, SoundFont(find_soundfont(name))))
    if drawn >= settings.soundfont_share * bool(settings.soundfonts):
        fonts = [(1.0, OneShots(Path(settings.one_shots))), *((0.0, font) for _, font in fonts)]
    return mix_sources([*fonts, (0.0, synthesise)])


def _card(settings: StemPretrainSettings, name: str, start: Card | None = None) -> Card:
    count = settings.songs * len(list_traditions())
    fonts = ", ".join(f"{font} ({licence_of(font)})" for font in settings.soundfonts)
    share = f", {settings.soundfont_share:.0%} of them with {fonts}" if fonts else ""
    if settings.one_shots_share:
        share += f", {settings.one_shots_share:.0%} with the recorded strokes of {Path(settings.one_shots).name}"
    kept = Path(settings.interpolate_with).name if settings.interpolate_with or start is None else start.name
    origin = "nothing" if start is None else f"{start.name}, with {1 - settings.alpha:.0%} of the weights of {kept},"
    before = "" if start is None else f" {start.name} was trained on: {start.data}"
    return Card(
        name=name,
        origin=f"Trained from {origin} by `levada pretrain` in {settings.steps} steps on rendered music alone, "
        "without recordings.",
        licence="Apache-2.0",
        data=f"{count} songs of {settings.song_s:g} s with their stems, rendered by levada from its descriptions of "
        f"{len(list_traditions())} traditions{share}. Sources: {', '.join(list_traditions())}.{before}",
        minutes=round(count * settings.song_s / 60 + (0 if start is None else start.minutes), 1),
        scores={"on songs and instruments held out": "benchmarks/RESULTS.md of the project"},
    )
