"""Arguments of public functions are checked by their annotations, so that a message names a wrong one.

>>> @checked
... def halve(number: float | None) -> float:
...     return (number or 0) / 2
>>> halve("4")
Traceback (most recent call last):
    ...
levada.errors.InputError: number must be a number or None, not '4'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from levada.errors import InputError

__all__ = ["check_argument", "checked", "to_array"]

if TYPE_CHECKING:
    import numpy.typing as npt

_Kind = tuple[str, Callable[[object], bool]]
P = ParamSpec("P")
Result = TypeVar("Result")


def checked(function: Callable[P, Result]) -> Callable[P, Result]:
    """Return a function that checks the types of its arguments first.

    Arguments whose annotations are not in `_KINDS` or `_CLASSES` are left to the function.

    Parameters
    ----------
    function : callable
        Of a module with ``from __future__ import annotations``: its annotations are strings.

    Raises
    ------
    InputError
        When it is called with an argument of another type; the message has the name of the argument.
    """
    annotations = {name: text for name, text in function.__annotations__.items() if name != "return"}
    names = function.__code__.co_varnames[: function.__code__.co_argcount]

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        given = dict(zip(names, args, strict=False)) | kwargs
        for name, value in given.items():
            if name in annotations:
                check_argument(name, value, annotations[name])
        return function(*args, **kwargs)

    return call


def check_argument(name: str, value: object, annotation: str) -> None:
    """Check a value by an annotation.

    Raises
    ------
    InputError
        If it is of none of its types; the message has the name.
    """
    if name == "seed" and _is_integer(value) and value < 0:  # type: ignore[operator]
        raise InputError(f"{name} must be 0 or above, not {value}")
    kinds = _kinds(annotation)
    if not kinds or any(accepts(value) for _, accepts in kinds):
        return
    is_plain = value is None or isinstance(value, str | bytes | Real | os.PathLike)
    kind = type(value).__name__
    found = repr(value) if is_plain else f"{'an' if kind[0] in 'aeiouAEIO' else 'a'} {kind}"
    texts = dict.fromkeys(text for text, _ in kinds)
    raise InputError(f"{name} must be {' or '.join(texts)}, not {found}")


def to_array(name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = "float64") -> npt.NDArray[Any]:
    """Return a copy of numbers as an array.

    Raises
    ------
    InputError
        If they are no numbers, or rows of different lengths; the message has the name.
    """
    import numpy as np

    try:
        return np.array(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be an array of numbers: {error}") from None


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__") or _is_sequence(value)


def _is_mapping_of(kind: type) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(name, str) and isinstance(entry, kind) for name, entry in value.items())
    )


def _any_of(*accepts: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: any(one(value) for one in accepts)


def _sequence_of(accepts: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: _is_sequence(value) and all(map(accepts, value))  # type: ignore[call-overload]


def _instance_of(name: str) -> Callable[[object], bool]:
    """Return whether a value is of a class, known by its name: its module is not imported for that."""
    return lambda value: any(kind.__name__ == name.rpartition(".")[2] for kind in type(value).__mro__)


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) or _instance_of("AudioExcerpt")(value)


_SPANS: _Kind = "a list of spans, as Corpus.sample returns them", _sequence_of(_instance_of("Span"))
_KINDS: Mapping[str, _Kind] = {
    "None": ("None", lambda value: value is None),
    "str": ("a string", _is_string),
    "Path": ("a path", lambda value: isinstance(value, os.PathLike)),
    "bool": ("True or False", lambda value: isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")),
    "int": ("a whole number", _is_integer),
    "float": ("a number", _is_number),
    "Seed": (
        "whole numbers or a Generator",
        _any_of(_is_integer, _sequence_of(_is_integer), _instance_of("Generator")),
    ),
    "Callable": ("a function", callable),
    "Progress": ("a function", callable),
    "Sequence[str]": ("a list of strings", _sequence_of(_is_string)),
    "Mapping": ("a mapping of names", _is_mapping_of(object)),
    "Mapping[str, str]": ("a mapping of strings to strings", _is_mapping_of(str)),
    "Groups": ("a mapping of strings to strings, or a path", _any_of(_is_mapping_of(str), _is_path)),
    "TempoRange": ("a number, or two numbers", _any_of(_is_number, _sequence_of(_is_number))),
    "Sequence[Metre]": ("a list of metres", _sequence_of(_any_of(_is_integer, _is_string))),
    "Models": ('a mapping of names to models, such as {"mine": mine}', _is_mapping_of(object)),
    "Labels": ("a string", _is_string),
    "AudioLike": ("a path, or an array of samples", _any_of(_is_path, _is_array)),
    "BeatsLike": ("Beats, or an array of times", _any_of(_instance_of("Beats"), _is_array)),
    "npt.ArrayLike": ("an array", _is_array),
    "Sequence[Span]": _SPANS,
    "Sequence[Span[Multitrack]]": _SPANS,
}
_CLASSES = {
    "Beats": "Beats, as levada.read_beats returns them",
    "Corpus": "a corpus, as levada.load_corpus returns it",
    "nn.Module": "a network (torch.nn.Module)",
    "Tradition": "a Tradition, as levada.synth.traditions.read_tradition returns it",
}


@cache
def _kinds(annotation: str) -> tuple[_Kind, ...]:
    """Return the types of an annotation; none if one of them is unknown."""
    kinds = []
    for part in _split(annotation):
        name = part.partition("[")[0]
        known = _KINDS.get(part) or _KINDS.get(name)
        if known is None and name in _CLASSES:
            known = _CLASSES[name], _instance_of(name)
        if known is None:
            return ()
        kinds.append(known)
    return tuple(kinds)


def _split(annotation: str) -> list[str]:
    """Divide a union into its types: at each ``|`` that is in no brackets."""
    parts, depth = [""], 0
    for character in annotation:
        depth += (character == "[") - (character == "]")
        if character == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
