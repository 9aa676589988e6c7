"""The origin of data: name, licence and citation, which travel with every model trained on the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["NOT_STATED", "Source", "combined_licence"]

NOT_STATED = "not stated"
"""The licence of data without a stated one."""


@dataclass(frozen=True)
class Source:
    """Data, or a model, that a model was trained from.

    Parameters
    ----------
    name : str
        Of the corpus or the model.
    licence : str
        Empty where none is stated.
    citation : str
        What to cite, BibTeX or plain words; empty where nothing is stated.
    """

    name: str
    licence: str = ""
    citation: str = ""

    @property
    def line(self) -> str:
        """All of it in one line."""
        licence, citation = (" ".join(text.split()) or NOT_STATED for text in (self.licence, self.citation))
        return f"{self.name}: licence {licence}; citation {citation}"


def combined_licence(sources: Iterable[Source]) -> str:
    """Return the licences of all sources as one line, each followed by the names of its sources.

    Which of them bind a model is a legal question and is not decided here. A single licence that all sources share is
    returned alone.
    """
    names: dict[str, list[str]] = {}
    for source in sources:
        names.setdefault(" ".join(source.licence.split()) or NOT_STATED, []).append(source.name)
    if len(names) == 1 and NOT_STATED not in names:
        return next(iter(names))
    return "; ".join(f"{licence} ({', '.join(dict.fromkeys(named))})" for licence, named in names.items())
