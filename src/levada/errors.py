"""Errors of user input, with messages that need no traceback.

The command line shows an `InputError` as a message (exit code 2); any other exception is a bug (exit code 1).
"""

from __future__ import annotations

import errno
import logging
import math
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "InputError",
    "Interrupted",
    "MissingExtra",
    "Warned",
    "check_integer",
    "check_integers",
    "check_number",
    "collected_records",
    "collected_warnings",
    "log_again",
    "os_error_text",
    "quiet",
    "settings_from",
    "suggest",
    "to_picklable",
    "wrap_read_errors",
]

Settings = TypeVar("Settings")
Item = TypeVar("Item")
Warned = tuple[str, int, str]
"""A warning as it can be sent to another process: the name of its logger, its level and its message."""


class InputError(ValueError):
    """Invalid input of the user.

    Parameters
    ----------
    problem : str
        The problem and what to do about it.
    path : path-like or None
        The file with the problem.
    line, column : int or None
        The position of the problem, counted from 1.
    """

    def __init__(
        self, problem: str, *, path: str | Path | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        self.problem, self.path, self.line, self.column = problem, path, line, column
        place = "" if line is None else f", line {line}" if column is None else f", line {line}, column {column}"
        super().__init__(problem if path is None else f"{path}{place}: {problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling `__init__`, whose arguments differ between subclasses and may be keyword-only."""
        return _restored, (type(self), self.args, self.__dict__)


class MissingExtra(InputError):
    """A library that an optional part needs is not installed.

    Parameters
    ----------
    library : str
        The library's name on the package index.
    extra : str
        The extra of this project that brings it.
    purpose : str
        What it is needed for, completing "… is needed to".
    """

    def __init__(self, library: str, *, extra: str, purpose: str) -> None:
        super().__init__(f"{library} is needed to {purpose}: pip install 'levada[{extra}]'")


class Interrupted(KeyboardInterrupt):
    """Interrupted by a signal; finished work is kept and can be continued.

    Parameters
    ----------
    number : int
        The signal.
    report : mapping, optional
        Results until then, as JSON.
    """

    def __init__(self, number: int = signal.SIGINT, *, report: Mapping[str, Any] | None = None) -> None:
        super().__init__(signal.Signals(number).name)
        self.number, self.report = number, dict(report or {})

    @classmethod
    def of(cls, stop: KeyboardInterrupt, *, report: Mapping[str, Any] | None = None) -> Interrupted:
        """Convert any `KeyboardInterrupt`, with a report."""
        return cls(getattr(stop, "number", signal.SIGINT), report=report or getattr(stop, "report", None))

    @property
    def exit_code(self) -> int:
        """Exit code as in shells: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number


def suggest(word: str, known: Iterable[str]) -> str:
    """End of a message about an unknown name: the one that was probably meant, and all that exist.

    Parameters
    ----------
    word : str
        The unknown name.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        "did you mean 'scratch'? There are scratch, finetune", or "there are scratch, finetune".

    Examples
    --------
    >>> suggest("finetun", ["scratch", "finetune"])
    "did you mean 'finetune'? There are scratch, finetune"
    """
    names = list(known)
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    existing = f"{'is' if len(names) == 1 else 'are'} {', '.join(names) or 'none'}"
    return f"did you mean {close[0]!r}? There {existing}" if close else f"there {existing}"


def to_picklable(error: Exception) -> Exception:
    """Convert an exception to one that can be pickled.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    Exception
        The same one if it survives pickling. Otherwise an `InputError` or a `RuntimeError` with the same message:
        an exception that cannot be unpickled breaks the pool of processes that receives it.
    """
    import pickle

    with suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    if isinstance(error, InputError):
        return InputError(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}".removesuffix(": "))


@contextmanager
def collected_warnings() -> Iterator[list[Warned]]:
    """Collect what the package warns of instead of logging it: for a process whose log is not read.

    Yields
    ------
    list of Warned
        Each once, in their order; `log_again` logs them where somebody does.
    """
    found = list[Warned]()
    with collected_records(lambda record: (record.name, record.levelno, record.getMessage()), found):
        yield found


@contextmanager
def collected_records(convert: Callable[[logging.LogRecord], Item], found: list[Item]) -> Iterator[None]:
    """Append what the package warns of to a list, each once, instead of logging it.

    Parameters
    ----------
    convert : callable
        From a record to what is appended.
    found : list
    """

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if (item := convert(record)) not in found:
                found.append(item)

    logger = logging.getLogger("levada")
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [Collector(logging.WARNING)], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Ignore Python's warnings, and what loggers of other libraries log below an error.

    Parameters
    ----------
    *names : str
        Of the loggers.
    """
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def log_again(warned: Iterable[Warned]) -> None:
    """Log what `collected_warnings` collected, here or in another process."""
    for name, level, message in warned:
        logging.getLogger(name).log(level, "%s", message)


def _restored(kind: type[Exception], args: tuple[Any, ...], state: Mapping[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


_PROBLEMS = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EISDIR: "is a folder, not a file",
    errno.ELOOP: "is a link that leads back to itself",
    errno.ENAMETOOLONG: "its name is too long for this disk: give a shorter one",
    errno.EACCES: "you may not use it: change its permissions",
    errno.EPERM: "you may not use it: change its permissions",
    errno.EROFS: "its disk can only be read: choose a place on another",
    errno.ENOSPC: "the disk is full: make room or choose another",
    errno.EDQUOT: "the disk quota is used up: make room or choose another disk",
    errno.EFBIG: "the file would be larger than is allowed here: choose another disk",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.EEXIST: "exists already",
    errno.EIO: "its disk is failing (input or output error)",
    errno.ESTALE: "its network disk has gone away",
    errno.ENXIO: "is not an ordinary file",
    errno.EINVAL: "this disk does not allow such a name or operation",
    errno.EILSEQ: "its name cannot be written on this disk",
    errno.ENODEV: "is not an ordinary file",
    errno.ETXTBSY: "is in use by another program",
    errno.EBUSY: "is in use by another program",
    errno.EXDEV: "is on another disk",
}


def os_error_text(error: OSError) -> str:
    """Return a message for an error of the operating system."""
    known = _PROBLEMS.get(error.errno or 0)
    return known or f"cannot be used: {(error.strerror or str(error) or type(error).__name__).lower()}"


def check_number(name: str, value: object, least: float, most: float = math.inf) -> None:
    """Check that a setting is a finite number in a range.

    Raises
    ------
    InputError
        If it is not; the message has its name.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most or value == math.inf:
        limits = f", {least:g} or above" if most == math.inf else f" from {least:g} to {most:g}"
        raise InputError(f"{name} must be a number{limits}, not {value!r}")


def check_integer(name: str, value: object, least: int, most: int) -> None:
    """Check that a setting is a whole number in a range.

    Raises
    ------
    InputError
        If it is not; the message has its name.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}, not {value!r}")


def check_integers(settings: object, **ranges: tuple[int, int]) -> None:
    """Check that fields of settings, given by name with their least and greatest value, are whole numbers in range.

    Raises
    ------
    InputError
        If one is not; the message has its name.
    """
    for name, (least, most) in ranges.items():
        check_integer(name, getattr(settings, name), least, most)


def settings_from(kind: type[Settings], values: Mapping[str, Any], *, noun: str = "settings") -> Settings:
    """Make a dataclass of settings from a mapping, as of `dataclasses.asdict` or a JSON file.

    Parameters
    ----------
    kind : type
        The dataclass, which checks its values.
    values : mapping of str to object
        Any of the fields; the others keep their defaults.
    noun : str
        What they are called in messages.

    Raises
    ------
    InputError
        If this is no mapping, a key is unknown or a value is invalid.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{noun} must be a table of names and values, not {values!r}")
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    unknown = [str(key) for key in values if key not in names]
    if unknown:
        raise InputError(f"unknown {noun} {', '.join(unknown)}; there are {', '.join(names)}")
    return kind(**values)


@contextmanager
def wrap_read_errors(path: str | Path) -> Iterator[None]:
    """Convert an `OSError` about an input file into an `InputError`.

    Parameters
    ----------
    path : path-like
        The file, unless the error names another.

    Raises
    ------
    InputError
        In place of an `OSError`, and of a name that no file can have.
    """
    try:
        yield
    except OSError as error:
        other = error.filename
        name = other if isinstance(other, str) and other != str(path) else path
        raise InputError(os_error_text(error), path=name) from error
    except ValueError as error:
        if isinstance(error, InputError) or "null byte" not in str(error):
            raise
        raise InputError("no file can have such a name", path=path) from error
