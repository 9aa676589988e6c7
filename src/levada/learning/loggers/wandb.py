"""Weights & Biases: offline unless the user is logged in, silent, and never waiting for a network that is not there.

What a run wrote offline lies in its folder; `wandb sync FOLDER/wandb/offline-run-*` sends it.
"""

from __future__ import annotations

import logging
import os
import re
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from levada.errors import MissingExtra
from levada.io.files import atomic_file
from levada.learning.loggers.run import Row

__all__ = ["Told"]

INIT_S = 20.0
"""How long its server may take to answer."""

SETTINGS = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "finish_timeout": 60.0,  # what is left to send by then stays in the folder
    "x_transaction_log_flush_interval": 1.0,  # or a killed run loses its last quarter of a minute
    "x_disable_stats": True,  # what the machine does is not ours to tell
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}
"""How it behaves, as far as its version knows of it."""

ID = "wandb-id.txt"

_log = logging.getLogger(__name__)


class Told:
    """A run of Weights & Biases.

    Parameters
    ----------
    folder : Path
        Everything it writes goes there.
    config : mapping
        Plain values.
    project, run : str
        What it is called.

    Raises
    ------
    MissingExtra
        If the library is not installed.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], *, project: str, run: str) -> None:
        self._folder = folder.absolute()
        with self._at_home():
            self._wandb = _wandb()
            mode = _mode(self._wandb)
            about = self._folder / ID  # a run that goes on after a kill is the same run
            name = about.read_text(encoding="utf-8").strip() if about.exists() else _new_id()
            begin = partial(self._begin, config=config, project=project, run=run)
            try:
                self._run = begin(mode, name)
            except Exception as error:
                if mode != "online":
                    raise
                _log.warning("Weights & Biases cannot be reached, and is told offline: %s", str(error).split("\n")[0])
                name = _new_id()  # the other is taken until this process ends
                self._run = begin("offline", name)
            with atomic_file(about, force=True) as temporary:
                temporary.write_text(name, encoding="utf-8")
            self._run.define_metric("step")
            self._run.define_metric("*", step_metric="step")

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers."""
        with self._at_home():
            self._run.log({"step": step, **values})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table."""
        data = [[_cell(row.get(column)) for column in columns] for row in rows]
        with self._at_home():
            self._run.log({name: self._wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)})

    def audio(self, name: str, file: Path, rate: int) -> None:
        """Log a recording."""
        with self._at_home():
            self._run.log({name: self._wandb.Audio(str(file), sample_rate=rate)})

    def picture(self, name: str, file: Path) -> None:
        """Log a picture."""
        with self._at_home():
            self._run.log({name: self._wandb.Image(str(file))})

    def finish(self) -> None:
        """End the run; what could not be sent in a minute stays in the folder."""
        with self._at_home():
            self._run.finish()

    def _begin(self, mode: str, name: str, *, config: Mapping[str, Any], project: str, run: str) -> Any:
        kind = self._wandb.Settings
        wanted = {name: value for name, value in SETTINGS.items() if name in getattr(kind, "model_fields", SETTINGS)}
        return self._wandb.init(
            dir=str(self._folder),
            project=re.sub(r"[/\\#?%:]+", "-", project),
            name=run,
            id=name,
            config=dict(config),
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=kind(**wanted, init_timeout=INIT_S),
        )

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """Keep what it stages and caches in the folder too, and its warnings to itself."""
        own = {name: str(self._folder / "wandb" / "files") for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")}
        own = {name: path for name, path in {**own, "WANDB_ERROR_REPORTING": "false"}.items() if name not in os.environ}
        os.environ.update(own)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            for name in own:
                os.environ.pop(name, None)


def _new_id() -> str:
    return uuid.uuid4().hex[:16]


def _wandb() -> Any:
    try:
        import wandb
    except ImportError:
        raise MissingExtra("wandb", extra="wandb", purpose="tell Weights & Biases of a run") from None
    return wandb


def _mode(wandb: Any) -> str:
    """What WANDB_MODE asks for, but online only where there is a key: nobody is prompted for one."""
    asked = os.environ.get("WANDB_MODE") or "online"
    if asked != "online":
        return asked
    if _logged_in(wandb):
        return "online"
    if "WANDB_MODE" in os.environ:
        _log.warning("Weights & Biases is told offline: nobody is logged in ('wandb login')")
    return "offline"


def _logged_in(wandb: Any) -> bool:
    """Whether the library finds a key by its own means: variables, its settings, or the netrc file."""
    try:
        from wandb.sdk.lib import wbauth

        host = wandb.setup().settings.base_url
        return wbauth.authenticate_session(host=host, source="levada", prompt=False, update_session=False) is not None
    except Exception:  # a version of another inside, or a key that is none
        return bool(os.environ.get("WANDB_API_KEY"))


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
