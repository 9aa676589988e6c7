"""The challenges: what is given, and what is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from levada.challenges.relatives import exchange_voices, relative_of
from levada.data.rendered import ALTERED
from levada.errors import InputError
from levada.synth.traditions import Tradition, read_tradition

__all__ = ["CHALLENGES", "Challenge", "find_challenge"]


@dataclass(frozen=True)
class Challenge:
    """A challenge.

    Parameters
    ----------
    name, title : str
    question : str
        What is to be done, in one sentence.
    labels : {"beats", "stems"}
        What a model is scored by.
    score : str
        The score that ranks, as evaluations name it.
    tradition : str
        The tradition whose relative it is about; empty where the data is one's own.
    target : str
        For stems, the instrument that is scored.
    train : tuple of int and float
        Recordings that are given with their labels (for stems, solos of each instrument), and the seconds of each.
    unlabelled : tuple of int and float
        The same without labels.
    test : tuple of int and float
        Recordings that are scored.
    baseline : str
        The command of a first try, in the folder of the data.
    """

    name: str
    title: str
    question: str
    labels: str
    score: str
    tradition: str = ""
    target: str = ""
    train: tuple[int, float] = (0, 0.0)
    unlabelled: tuple[int, float] = (0, 0.0)
    test: tuple[int, float] = (0, 0.0)
    baseline: str = ""

    def music(self, instance: int) -> Tradition:
        """Return what is played in an instance."""
        tradition = relative_of(read_tradition(self.tradition), seed=instance)
        if not self.target:
            return tradition
        sound = next(part.voice for part in tradition.instruments if part.name == self.target)
        parts = tuple(  # no second one of its kind
            part for part in tradition.instruments if part.name == self.target or part.voice != sound
        )
        exchanged = exchange_voices(replace(tradition, instruments=parts, ensemble=(3, 5)), seed=instance)
        parts = tuple(  # it always plays, and so does what sounds as its name says
            replace(part, presence=1.0) if part.name == self.target or part.voice == sound else part
            for part in exchanged.instruments
        )
        return replace(exchanged, instruments=parts)

    @staticmethod
    def sounds(instance: int) -> str:
        """Return the instruments of an instance, as `levada.data.rendered.sounds_of` names them."""
        return f"{ALTERED}{instance}"


_ALL = (
    Challenge(
        "candombe-downbeats",
        "Candombe: where is the one?",
        "Find the downbeats, with 1.5 minutes of labels.",
        labels="beats",
        score="downbeat_f",
        tradition="candombe",
        train=(6, 15.0),
        unlabelled=(4, 30.0),
        test=(12, 30.0),
        baseline="levada adapt train -o my-model",
    ),
    Challenge(
        "samba-without-labels",
        "Samba in 2/4 from a description",
        "Find the downbeats, without a label: from recordings, and from a description of who plays what.",
        labels="beats",
        score="downbeat_f",
        tradition="samba",
        unlabelled=(8, 30.0),
        test=(12, 30.0),
        baseline="levada render my-samba.toml --minutes 5 -o rendered && levada adapt rendered -o my-model",
    ),
    Challenge(
        "surdo-from-solos",
        "The surdo, from solos",
        "Separate the surdo from an ensemble whose instruments have exchanged their sounds, with two solos of each.",
        labels="stems",
        score="si_sdr_i",
        tradition="samba",
        target="surdo",
        train=(2, 12.0),
        test=(6, 15.0),
        baseline="levada adapt solos --labels stems -o my-model",
    ),
    Challenge(
        "own-tradition",
        "Your own tradition",
        "Find the downbeats of your own recordings, of those that gave no labels.",
        labels="beats",
        score="downbeat_f",
        baseline="levada adapt my-recordings --minutes 1.5 -o my-model",
    ),
)
CHALLENGES: Mapping[str, Challenge] = MappingProxyType({one.name: one for one in _ALL})
"""The challenges by name."""


def find_challenge(name: str) -> Challenge:
    """Return a challenge by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in CHALLENGES:
        raise InputError(f"there is no challenge {name!r}; there are {', '.join(CHALLENGES)}")
    return CHALLENGES[name]
