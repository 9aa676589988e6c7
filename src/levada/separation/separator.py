"""Separators: `Separator`, and the stems that it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from levada.arguments import checked
from levada.io import audio as audio_files
from levada.io.files import check_can_write
from levada.learning.model import LoadedModel
from levada.separation.masking import Decision, Progress, Spans, for_recording, sound_of

if TYPE_CHECKING:
    from levada.data import Multitrack, Span
    from levada.learning.weights import Weights
    from levada.separation.files import Separated
    from levada.separation.fusion import Fusion
    from levada.separation.masking import SeparatorLike
    from levada.separation.nmf import Dictionaries

    AudioLike = str | Path | npt.ArrayLike

__all__ = ["Separator", "Stems"]

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Stems(Mapping[str, Floats32]):
    """Stems of a recording by instrument: a read-only mapping of arrays that sum to the recording.

    Parameters
    ----------
    arrays : mapping of str to float32 [shape=(channels, samples)]
    rate : int
        In Hz.
    decision : Decision, optional
        How the recording was separated, of a model that decides it for each recording.
    """

    arrays: Mapping[str, Floats32]
    rate: int
    decision: Decision | None = None

    def __getitem__(self, instrument: str) -> Floats32:
        return self.arrays[instrument]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @checked
    def save(self, folder: str | Path, *, suffix: str = ".wav", force: bool = False) -> tuple[Path, ...]:
        """Write a file for each instrument.

        Parameters
        ----------
        folder : path-like
            It is made if it does not exist.
        suffix : str
            ".wav" or ".flac".
        force : bool
            Whether files that exist may be replaced.

        Returns
        -------
        tuple of Path

        Raises
        ------
        InputError
            If a file exists and `force` is not set, or cannot be written.
        """
        paths = {Path(folder) / f"{name}{suffix}": stem for name, stem in self.items()}
        check_can_write(folder, [path.name for path in paths], force=force)
        for path, stem in paths.items():
            audio_files.write(path, stem, rate=self.rate, force=force)
        return tuple(paths)


class Separator(LoadedModel):
    """A model that separates the instruments of a recording.

    Make one with `from_pretrained`, or adapt one to stems with `adapt`.

    Parameters
    ----------
    backend : SeparatorLike
        What does the work.
    model : Weights, Dictionaries or Fusion, optional
        The network with its settings, the dictionaries, or both, that `adapt` starts from and `save` writes;
        separators of other projects have none.

    Examples
    --------
    >>> import levada
    >>> separator = levada.Separator.from_pretrained("candombe")
    >>> song = levada.render("candombe", duration_s=4, seed=0)
    >>> stems = separator.separate(song.mixture, song.rate)
    >>> sorted(stems) == sorted(separator.instruments)
    True
    """

    backend: SeparatorLike
    model: Weights | Dictionaries | Fusion | None

    @classmethod
    @checked
    def from_pretrained(
        cls, name: str | Path = "base", *, instruments: Sequence[str] = (), device: str = "cpu"
    ) -> Separator:
        """Load a separator by its name or from its folder.

        Parameters
        ----------
        name : str or path-like
            "base", which comes with levada; the name or the file of a tradition, as "candombe" (the base, with the
            instruments of that tradition); "demucs:htdemucs" (or "demucs:" and a file of its authors); or the folder
            of a model that `save` or `levada adapt` wrote.
        instruments : sequence of str
            What is to be separated, if not all that the model was trained on: the others do not play.
        device : str
            Where its networks run, as PyTorch names it: "cpu", "cuda" or "mps".

        Returns
        -------
        Separator

        Raises
        ------
        InputError
            If there is no such model or device, the model is damaged or a tracker, or it does not have an instrument.
        MissingExtra
            If it belongs to another project that is not installed.
        """
        from levada.separation.pretrained import load_separator

        return load_separator(name, instruments=instruments).to(device)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of its stems."""
        return self.backend.instruments

    @property
    def available(self) -> tuple[str, ...]:
        """Names of the stems that it can be restricted to: a model that `adapt` chose keeps those of its base."""
        return tuple(getattr(self.backend, "available", self.instruments))

    @property
    def trained_on(self) -> Spans:
        """SHA-256 of each recording it was trained on -> the spans used, in seconds."""
        return self.backend.trained_on

    @checked
    def separate(self, audio: AudioLike, rate: int | None = None, *, progress: Progress | None = None) -> Stems:
        """Separate a recording in memory; `separate_file` writes the stems of recordings of any length.

        Parameters
        ----------
        audio : path-like, or array_like [shape=(channels, samples)] or [shape=(samples,)]
            An audio file, or samples between -1 and 1.
        rate : int, optional
            Sampling rate of the samples, in Hz.
        progress : callable, optional
            Called with the seconds done, and of how many. An exception raised in it cancels.

        Returns
        -------
        Stems
            They sum to the recording.

        Raises
        ------
        InputError
            If the file cannot be read, samples have no rate, there are none, or one of them is not finite.
        """
        samples, rate = audio_files.samples_of(audio, rate)
        sound = sound_of(samples)
        separator, decision = self.for_recording([sound], rate)
        return Stems(separator.separate(sound, rate, progress=progress), rate, decision)

    @checked
    def separate_file(
        self, path: str | Path, folder: str | Path, *, force: bool = False, progress: Progress | None = None
    ) -> Separated:
        """Write the stems of a recording of any length, a file each, in flat memory.

        Parameters
        ----------
        path : path-like
            The recording.
        folder : path-like
            Where the stems are written; it is created if it does not exist.
        force, progress
            As of `levada.separation.files.separate_file`.

        Returns
        -------
        Separated
        """
        from levada.separation.files import separate_file

        return separate_file(path, self, folder, force=force, progress=progress)

    def for_recording(self, pieces: Iterable[Floats32], rate: int) -> tuple[SeparatorLike, Decision | None]:
        """Decide how a recording is separated; see `levada.separation.masking.for_recording`."""
        return for_recording(self.backend, pieces, rate)

    def stream(self, pieces: Iterable[Floats32], rate: int, *, level: float) -> Iterator[dict[str, Floats32]]:
        """Separate a recording that comes in pieces, as they come; see `masking.MaskSeparator.stream`."""
        return self.backend.stream(iter(pieces), rate, level=level)

    @checked
    def restricted(self, instruments: Sequence[str]) -> Separator:
        """Return the separator of recordings in which only some of its instruments play."""
        restrict = getattr(self.backend, "restricted", None)
        return self if restrict is None else Separator(restrict(instruments), self.model)

    @checked
    def adapt(
        self,
        stems: Sequence[Span[Multitrack]],
        *,
        strategy: str = "auto",
        steps: int | None = None,
        learning_rate: float | None = None,
        layers: Sequence[str] = (),
        seed: int = 0,
        out: str | Path | None = None,
        force: bool = False,
        log_to: Sequence[str] = (),
        progress: Callable[[int, int, float], None] | None = None,
    ) -> Separator:
        """Adapt the separator to songs with stems; this one stays as it is.

        A separator that was adapted before keeps its instruments and dictionaries beside those of the new stems.
        Networks are trained on a GPU where PyTorch finds one; the adapted separator runs where this one does.

        Parameters
        ----------
        stems : sequence of Span[Multitrack]
            As `Corpus.sample` returns them.
        strategy : str
            "auto" (chooses among the base, dictionaries, fine-tuning and their fusion by cross-validation),
            "finetune+augment", "finetune", "nmf" and "nmf-conv" (dictionaries and no network), "unet" or "scratch".
        steps, learning_rate, seed
            Of the training; the first two are the strategy's own by default.
        layers : sequence of str
            Prefixes of the names of the layers that are trained; all by default.
        out, force, log_to, progress
            As of `levada.BeatTracker.adapt`.

        Returns
        -------
        Separator
            A new one.

        Raises
        ------
        InputError
            If there is no such strategy, there are fewer than two instruments, or `out` exists.
        """
        from levada.learning.weights import Weights, on_cpu
        from levada.separation.adaptation import adapt, settings_of
        from levada.separation.fusion import Fusion
        from levada.separation.pretrained import separator_of

        base = self.model
        if isinstance(base, Weights):
            base = on_cpu(base)
        elif isinstance(base, Fusion):
            base = replace(base, network=on_cpu(base.network))
        settings = settings_of(strategy, base=base, steps=steps, learning_rate=learning_rate, layers=layers)
        model = adapt(
            stems, strategy=strategy, base=base, settings=replace(settings, seed=seed),
            out=out, force=force, log_to=log_to, progress=progress,
        )  # fmt: skip
        return separator_of(model, name=model.card.name).to(self.device)
