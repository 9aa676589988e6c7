"""The data of a challenge: what a team starts from, and what is scored."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from levada.challenges.definitions import Challenge, find_challenge
from levada.data import load_corpus
from levada.data.rendered import LICENCE, render_corpus
from levada.errors import InputError
from levada.io.files import atomic_folder, wrap_errors
from levada.io.toml import read_toml
from levada.synth.traditions import Tradition, format_tradition
from levada.version import __version__

__all__ = ["SMALLEST_SEED", "TOML", "check_data", "instance_of", "render_test", "start"]

TOML = "challenge.toml"
"""Names the challenge and the instance of a folder of data."""
TRAIN, UNLABELLED = 1, 2
"""Seeds of what is given; what is scored has others."""
SMALLEST_SEED = 1000
"""The smallest seed of recordings that are scored: none of them is given."""
LEAST_GROUPS = 3
"""Of a team's own recordings, so that some are left to score."""

Progress = Callable[[int, int], None]


def start(
    name: str,
    folder: str | Path,
    *,
    instance: int = 0,
    data: str = "",
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the data, the rules and the baseline of a challenge into a new folder.

    Parameters
    ----------
    name : str
        A name in `CHALLENGES`.
    folder : path-like
    instance : int
        Draws the data: the same number gives the same data.
    data : str
        A corpus with real recordings, which are then used in place; nothing is rendered.
    force : bool
        Whether the folder of a challenge that exists may be replaced.
    progress : callable, optional
        Called with the number of rendered recordings, and of how many.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        If there is no such challenge, the folder exists, the corpus lacks the labels or has fewer than three groups.
    """
    challenge = find_challenge(name)
    if instance < 0:
        raise InputError(f"an instance is a whole number that is not negative, not {instance}")
    check_data(challenge, data)
    with atomic_folder(folder, marker=TOML, force=force) as temporary:
        if not data:
            _render(challenge, temporary, instance, progress)
        facts = {"challenge": name, "instance": instance, "levada": __version__, "data": data}
        lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in facts.items())
        (temporary / TOML).write_text("".join(lines), encoding="utf-8")
        (temporary / "README.md").write_text(_readme(challenge, instance, data), encoding="utf-8")
    return Path(folder)


def check_data(challenge: Challenge, data: str) -> None:
    """Check that real recordings can be used for a challenge; without any, that it has rendered ones.

    Raises
    ------
    InputError
        If there is no such corpus, it has other labels, or fewer than three groups.
    """
    if not data:
        if not challenge.tradition:
            raise InputError(f"{challenge.name} is about recordings of your own: name their folder (--data)")
        return
    corpus = load_corpus(data, labels=challenge.labels)  # type: ignore[call-overload]
    if challenge.target and challenge.target not in corpus.instruments:
        names = ", ".join(corpus.instruments)
        raise InputError(
            f"has no stems of {challenge.target}, which {challenge.name} is about; it has {names}", path=data
        )
    if len(corpus.groups) < LEAST_GROUPS:
        raise InputError(
            f"has {len(corpus.groups)} groups of recordings with {challenge.labels}; {challenge.name} needs "
            f"{LEAST_GROUPS}, so that some that gave no labels can be scored (corpus.toml names groups)",
            path=data,
        )


def render_test(
    challenge: Challenge, folder: Path, *, instance: int, seed: int, progress: Progress | None = None
) -> None:
    """Render the recordings that are scored; those of a run that was interrupted, or is finished, are kept.

    Raises
    ------
    InputError
        If the seed is below 1000, or the folder holds something else.
    """
    if seed < SMALLEST_SEED:
        raise InputError(f"a seed of recordings that are scored is {SMALLEST_SEED} or more, not {seed}")
    count, seconds = challenge.test
    render_corpus(
        folder, challenge.music(instance), minutes=count * seconds / 60, recordings=count, seed=seed,
        sounds=challenge.sounds(instance), multitrack=challenge.labels == "stems", progress=progress,
    )  # fmt: skip


def instance_of(folder: Path) -> tuple[str, int, str]:
    """Return challenge, instance and corpus of the folder that `start` wrote.

    Raises
    ------
    InputError
        If its file is damaged.
    """
    facts = read_toml(folder / TOML)
    name, instance, data = facts.get("challenge"), facts.get("instance"), facts.get("data", "")
    if not (isinstance(name, str) and isinstance(instance, int) and instance >= 0 and isinstance(data, str)):
        raise InputError("is damaged: it names no challenge and no instance", path=folder / TOML)
    return name, instance, data


def _render(challenge: Challenge, folder: Path, instance: int, progress: Progress | None) -> None:
    """Render what is given."""
    music, sounds = challenge.music(instance), challenge.sounds(instance)
    parts: list[tuple[str, Tradition, tuple[int, float], int]] = [
        ("recordings", music, challenge.unlabelled, UNLABELLED)
    ]
    if challenge.labels == "stems":
        parts += [
            (
                f"solos/{part.name}",
                replace(music, instruments=(replace(part, presence=1.0),), ensemble=None),
                challenge.train,
                TRAIN,
            )
            for part in music.instruments
        ]
    else:
        parts.append(("train", music, challenge.train, TRAIN))
    total, done = sum(count for *_, (count, _), _ in parts), 0
    with tempfile.TemporaryDirectory(prefix="levada-challenge-") as scratch:
        for index, (name, tradition, (count, seconds), seed) in enumerate(parts):
            if not count:
                continue
            rendered, target = Path(scratch) / str(index), folder / name

            def report(now: int, _: int, *, before: int = done) -> None:
                if progress is not None:
                    progress(before + now, total)

            # other recordings than those of the test, and than those of any other instance
            render_corpus(
                rendered, tradition, minutes=count * seconds / 60, recordings=count, seed=seed, sounds=sounds,
                progress=report,
            )  # fmt: skip
            done += count
            with wrap_errors(target):
                target.mkdir(parents=True)
                for number, path in enumerate(sorted(rendered.glob("*.wav")), start=1):
                    shutil.move(path, target / f"{number:02}.wav")
                    if name == "train":
                        shutil.move(path.with_suffix(".beats"), target / f"{number:02}.beats")
    for name in {Path(name).parts[0] for name, _, (count, _), _ in parts if count}:
        (folder / name / "corpus.toml").write_text(_corpus_toml(challenge, instance), encoding="utf-8")


def _corpus_toml(challenge: Challenge, instance: int) -> str:
    name = f"levada challenge {challenge.name}, instance {instance}"
    text = f'name = "{name}"\nlicence = "{LICENCE}"\ncitation = "Rendered by levada {__version__}: {name}."\n'
    return text + ('layout = "solos"\n' if challenge.labels == "stems" else "")


def _readme(challenge: Challenge, instance: int, data: str) -> str:
    """Return the rules and the baseline of a challenge as Markdown."""
    solos = challenge.labels == "stems"
    given = (
        ("solos/", challenge.train, "takes of each instrument alone")
        if solos
        else ("train/", challenge.train, "recordings with their beats"),
        ("recordings/", challenge.unlabelled, "recordings without labels"),
    )
    lines = [f"- `{name}`: {count} {what} of {seconds:g} s" for name, (count, seconds), what in given if count]
    if data:
        lines = [f"- `{data}`: your corpus; `levada adapt --minutes` takes labels of some groups, others are scored"]
    own = "Nothing is rendered: recordings that a model was trained on, and others of their groups, are not scored."
    scored = (
        f"`levada challenge score` draws {challenge.test[0]} recordings of {challenge.test[1]:g} s that nobody has: "
        "other players and other copies of the instruments, by a seed that is chosen after the models are handed in."
    )
    what = "SI-SDR improvement" if solos else "F-measure of the downbeats (70 ms)"
    described = ""
    if not (data or challenge.train[0]):  # a description in place of labels
        text = "\n".join(format_tradition(challenge.music(instance)))
        about = f"The music is invented, and its bar is not that of {challenge.tradition}."
        described = f"\n## Who plays what\n\n{about}\n\n```text\n{text}\n```\n"
    baseline = challenge.baseline.replace("my-recordings", data or "my-recordings")
    return f"""# {challenge.title}

{challenge.question}
Instance {instance}{"" if data else "; rendered by levada, CC0"}.

## What is here

{chr(10).join(lines)}
{described}
## Baseline

```
{baseline}
levada challenge score my-model
```

## Rules

- The score is the mean {what} with its 95 % interval, for all the same. {own if data else scored}
- Train on what is here, and on anything that you make or annotate yourself; say in the card what. Do not render this
  instance with levada's own code of challenges: that is the answer.
- Labels that you use to choose among models count as labels.
- A model is a folder that `levada` writes, or anything that its Python API can load; it is scored without knowing when
  instruments play.
- Hand in the folder of the model. Share the card, which has the score, the seed and the scores of the baselines.
"""
