"""Weights & Biases: offline unless the user is logged in, silent, and never waiting long for a network.

An offline run is stored in its folder; `wandb sync FOLDER/wandb/offline-run-*` uploads it.
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

from levada.io.files import atomic_file
from levada.learning.loggers.run import MISSING, Row

__all__ = ["WandbLogger"]

INIT_S = 20.0
"""Longest time to wait for the server."""

SETTINGS = {
    "silent": True,
    "console": "off",
    "disable_git": True,
    "disable_code": True,
    "finish_timeout": 60.0,  # the rest stays in the folder
    "x_transaction_log_flush_interval": 1.0,  # or a killed run loses its last quarter of a minute
    "x_disable_stats": True,  # no measurements of the machine
    "x_disable_machine_info": True,
    "x_save_requirements": False,
}
"""Settings of a run, where the installed version has them."""

ID = "wandb-id.txt"

_log = logging.getLogger(__name__)


class WandbLogger:
    """A run of Weights & Biases.

    Parameters
    ----------
    folder : Path
        Everything is written there.
    config : mapping
        Plain values.
    project, run : str
        Names of the project and the run.

    Raises
    ------
    MissingExtra
        If the library is not installed.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], *, project: str, run: str) -> None:
        self._folder = folder.absolute()
        with self._redirected():
            self._wandb = _wandb()
            mode = _mode(self._wandb)
            id_file = self._folder / ID  # a resumed run is the same run
            name = id_file.read_text(encoding="utf-8").strip() if id_file.exists() else _new_id()
            open_run = partial(self._open, config=config, project=project, run=run)
            try:
                self._run = open_run(mode, name)
            except Exception as error:
                if mode != "online":
                    raise
                _log.warning(
                    "Weights & Biases cannot be reached; the run is logged offline: %s", str(error).split("\n")[0]
                )
                name = _new_id()  # the other one stays in use until this process ends
                self._run = open_run("offline", name)
            with atomic_file(id_file, force=True) as temporary:
                temporary.write_text(name, encoding="utf-8")
            self._run.define_metric("step")
            self._run.define_metric("*", step_metric="step")

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers."""
        with self._redirected():
            self._run.log({"step": step, **values})

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table."""
        data = [[_cell(row.get(column)) for column in columns] for row in rows]
        with self._redirected():
            self._run.log({name: self._wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)})

    def log_audio(self, name: str, file: Path, rate: int) -> None:
        """Log an excerpt."""
        with self._redirected():
            self._run.log({name: self._wandb.Audio(str(file), sample_rate=rate)})

    def log_image(self, name: str, file: Path) -> None:
        """Log an image."""
        with self._redirected():
            self._run.log({name: self._wandb.Image(str(file))})

    def close(self) -> None:
        """End the run; what could not be uploaded in a minute stays in the folder."""
        with self._redirected():
            self._run.finish()

    def _open(self, mode: str, name: str, *, config: Mapping[str, Any], project: str, run: str) -> Any:
        kind = self._wandb.Settings
        settings = {name: value for name, value in SETTINGS.items() if name in getattr(kind, "model_fields", SETTINGS)}
        return self._wandb.init(
            dir=str(self._folder),
            project=re.sub(r"[/\\#?%:]+", "-", project),
            name=run,
            id=name,
            config=dict(config),
            mode=mode,
            resume="allow" if mode == "online" else None,
            reinit="create_new",
            settings=kind(**settings, init_timeout=INIT_S),
        )

    @contextmanager
    def _redirected(self) -> Iterator[None]:
        """Stage and cache in the folder too, and suppress warnings."""
        variables = {name: str(self._folder / "wandb" / "files") for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")}
        variables |= {"WANDB_ERROR_REPORTING": "false"}
        variables = {name: value for name, value in variables.items() if name not in os.environ}
        os.environ.update(variables)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            for name in variables:
                os.environ.pop(name, None)


def _new_id() -> str:
    return uuid.uuid4().hex[:16]


def _wandb() -> Any:
    try:
        import wandb
    except ImportError:
        raise MISSING["wandb"]() from None
    return wandb


def _mode(wandb: Any) -> str:
    """Value of WANDB_MODE, but "online" only where there is a key: nobody is prompted for one."""
    mode = os.environ.get("WANDB_MODE") or "online"
    if mode != "online":
        return mode
    if _logged_in(wandb):
        return "online"
    if "WANDB_MODE" in os.environ:
        _log.warning("Weights & Biases logs offline: nobody is logged in ('wandb login')")
    return "offline"


def _logged_in(wandb: Any) -> bool:
    """Whether the library finds a key: in variables, its settings, or the netrc file."""
    try:
        from wandb.sdk.lib import wbauth

        host = wandb.setup().settings.base_url
        return wbauth.authenticate_session(host=host, source="levada", prompt=False, update_session=False) is not None
    except Exception:  # another version of the library, or an invalid key
        return bool(os.environ.get("WANDB_API_KEY"))


def _cell(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
