"""The studio over HTTP, for the page alone: on this machine, with a token, and nothing outside of the project.

Requests need the token in a header that pages of other origins cannot set, a `Host` of this machine, and no foreign
`Origin`. Recordings are named by their ids, never by paths. Nothing is loaded from the network.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levada.errors import InputError, MissingExtra
from levada.player import COMPONENT
from levada.studio import views
from levada.studio.journal import State
from levada.studio.project import ME, Project, separators, suffixes
from levada.version import __version__

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
except ImportError as error:
    raise MissingExtra("starlette", extra="studio", purpose="the studio") from error

__all__ = ["Server", "application"]

PAGE = Path(__file__).parent / "page"
TOKEN_HEADER = "x-levada-token"
TOKEN_BYTES = 24
ADDRESS = "address.json"
LARGEST = 100_000
"""Bytes of a request."""
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

_log = logging.getLogger(__name__)


class Guard:
    """Middleware that refuses what does not come from the page of this server."""

    def __init__(self, app: ASGIApp, *, token: str, hosts: frozenset[str]) -> None:
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal:
            is_page = request.url.path == "/"  # a person reads it
            answer = PlainTextResponse(f"levada: {refusal}") if is_page else JSONResponse({"error": refusal})
            answer.status_code = 403
            answer.headers.update(HEADERS)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _refusal(self, request: Request) -> str:
        if request.headers.get("host", "") not in self.hosts:
            return "the address names another machine: open the one that levada printed"
        origin = request.headers.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self.hosts:
            return "another page may not use the studio"
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "another page may not use the studio"
        given = request.headers.get(TOKEN_HEADER, "")
        if request.url.path == "/":
            given = request.query_params.get("token", "")
        elif request.url.path.startswith("/page/"):  # holds nothing of the project
            return ""
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return "the token is wrong or missing: open the address that levada printed"
        return ""


Handler = Callable[[Request], Awaitable[Response]]


def _api(function: Callable[[Request, dict[str, Any]], Any]) -> Handler:
    """Wrap a function of a request and its JSON body: its result is JSON, and `InputError` a message with 400."""

    async def handle(request: Request) -> Response:
        try:
            body: Any = {}
            if request.method == "POST":
                length = request.headers.get("content-length", "")
                if not length.isdigit() or int(length) > LARGEST:
                    raise InputError("the request is too large, or has no length")
                body = json.loads(await request.body() or b"{}")
                if not isinstance(body, dict):
                    raise InputError("the request must be a JSON object")
            result = await run_in_threadpool(function, request, body)
            return result if isinstance(result, Response) else JSONResponse(result, headers=HEADERS)
        except KeyError as problem:
            return JSONResponse({"error": f"the request has no {problem}"}, status_code=400, headers=HEADERS)
        except (ValueError, TypeError, InputError) as problem:
            return JSONResponse({"error": str(problem)}, status_code=400, headers=HEADERS)
        except OSError as problem:
            return JSONResponse({"error": f"the disk: {problem.strerror}"}, status_code=507, headers=HEADERS)

    return handle


def application(project: Project, *, token: str, port: int) -> Starlette:
    """Return the web application of a project.

    Parameters
    ----------
    project : Project
    token : str
        Part of the address of the page.
    port : int
        That it is served on, at 127.0.0.1.
    """

    def who(request: Request, body: dict[str, Any]) -> str:
        name = str(body.get("annotator") or request.query_params.get("annotator") or ME)
        if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 40:
            raise InputError("the name of an annotator has letters, digits, - and _ alone, at most 40")
        return name

    def recording(request: Request) -> str:
        return str(request.query_params.get("id", ""))

    def state_json(
        name: str, state: State, warnings: list[str] | None = None, *, annotator: str = ME
    ) -> dict[str, Any]:
        right, is_enough = project.journal.checked(name, annotator)
        return {
            "right": right,
            "enough": is_enough,
            "id": name,
            "revision": state.revision,
            "beats": [list(mark) for mark in state.annotation],
            "undo": len(state.done),
            "redo": len(state.undone),
            "messages": warnings or [],
        }

    def overview(request: Request, body: dict[str, Any]) -> Any:
        annotator = who(request, body)
        return {
            "version": __version__,
            "name": project.path.name,
            "state": str(project.folder),
            "is_beside": project.is_beside,
            "model": project.journal.read("model") or project.model,
            "annotators": project.journal.annotators(),
            "recordings": project.recordings(annotator),
            "kept": [[judged, round(share, 4)] for judged, share in project.journal.kept_shares(annotator)],
            "formats": suffixes(),
            "separators": separators(),
            "calibrations": project.journal.read("calibrations") or {},
        }

    def opened(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        return project.info(recording(request))

    def annotation(request: Request, body: dict[str, Any]) -> Any:
        name = recording(request)
        annotator = who(request, body)
        return state_json(name, project.state(name, annotator), annotator=annotator)

    def arguments_of(body: dict[str, Any]) -> dict[str, Any]:
        arguments = body.get("arguments", {})
        if not isinstance(arguments, dict):
            raise InputError("the arguments of an edit must be a JSON object")
        return arguments

    def previewed(request: Request, body: dict[str, Any]) -> Any:
        after, _ = project.preview(
            recording(request),
            str(body.get("kind", "")),
            arguments_of(body),
            annotator=who(request, body),
            decode=bool(body.get("decode", False)),
        )
        return {"beats": [list(mark) for mark in after]}

    def edited(request: Request, body: dict[str, Any]) -> Any:
        name, arguments = recording(request), arguments_of(body)
        state, warnings = project.edit(
            name,
            str(body.get("kind", "")),
            arguments,
            annotator=who(request, body),
            decode=bool(body.get("decode", False)),
            origin={key: body[key] for key in ("device", "lag_ms") if key in body},
        )
        return state_json(name, state, warnings, annotator=who(request, body))

    def undone(request: Request, body: dict[str, Any]) -> Any:
        name, annotator = recording(request), who(request, body)
        return state_json(name, project.undo(name, annotator), annotator=annotator)

    def redone(request: Request, body: dict[str, Any]) -> Any:
        name, annotator = recording(request), who(request, body)
        return state_json(name, project.redo(name, annotator), annotator=annotator)

    def saved(request: Request, body: dict[str, Any]) -> Any:
        suffix, annotator, force = str(body.get("suffix", ".beats")), who(request, body), bool(body.get("force"))
        if body.get("all"):
            paths = project.save_all(suffix, annotator=annotator, force=force)
        else:
            only = bool(body.get("only_verified"))
            paths = [project.save(recording(request), suffix, annotator=annotator, only_verified=only, force=force)]
        return {"written": [path.name for path in paths]}

    def learn(request: Request, body: dict[str, Any]) -> Any:
        return {"job": project.learn(recording(request), who(request, body))}

    def accept(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        proposal = project.proposals.get(str(body.get("strategy", "")))
        state = project.accept(str(body.get("strategy", "")))
        assert proposal is not None  # or it was refused
        return state_json(proposal.recording, state, annotator=proposal.annotator)

    def refuse(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        project.refuse()
        return {}

    def apply_to_all(request: Request, body: dict[str, Any]) -> Any:
        return {"job": project.apply_to_all(who(request, body))}

    def cancel(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        project.jobs.cancel(int(body.get("job", 0)))
        return {}

    def status(request: Request, body: dict[str, Any]) -> Any:
        annotator, name = who(request, body), recording(request)
        there = [one.number for one in list(project.proposals.values()) if one.annotator == annotator]
        revision = project.journal.state(name, annotator).revision if name in project.tracks else 0
        return {**project.jobs.status(), "proposals": there, "revision": revision}

    def proposals(request: Request, body: dict[str, Any]) -> Any:
        found = [one for one in list(project.proposals.values()) if one.annotator == who(request, body)]
        return [one.to_json(project.journal.state(one.recording, one.annotator).annotation) for one in found]

    def next_uncertain(request: Request, body: dict[str, Any]) -> Any:
        return {"bar": project.next_uncertain(who(request, body))}

    def suspect(request: Request, body: dict[str, Any]) -> Any:
        return {"suspect": project.next_suspect(recording(request), who(request, body))}

    def agreement(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        query = request.query_params
        return project.agreement(recording(request), query.get("first", ME), query.get("second", ME))

    def calibrate(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        project.calibrate(str(body.get("device", ""))[:200], float(body["lag_ms"]), float(body["spread_ms"]))
        return {}

    def separate(request: Request, body: dict[str, Any]) -> Any:
        return {"job": project.separate(recording(request), str(body.get("model", "base")))}

    def mix(request: Request, body: dict[str, Any]) -> Any:
        gains = body.get("gains")
        if not isinstance(gains, dict):
            raise InputError("levels must be a JSON object")
        return {"written": [project.write_mix(recording(request), gains, force=bool(body.get("force"))).name]}

    def peaks(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        part = int(request.query_params.get("part", "0"))
        return _binary(project.peaks(recording(request), part).tobytes())

    def spectrogram(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        track = project.track(recording(request))
        number = int(request.query_params.get("tile", "0"))
        return _binary(views.spectrogram_tile(track.audio, number, duration_s=track.duration_s).tobytes())

    def activations(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        prepared = project.prepared(recording(request))
        if prepared.curves is None:
            raise InputError("this model has no activations")
        return _binary((prepared.curves.clip(0, 1) * 255).astype("uint8").tobytes(), fps=prepared.fps)

    def samples(request: Request, body: dict[str, Any]) -> Any:  # noqa: ARG001
        query = request.query_params
        start_s, length_s = float(query.get("start_s", "0")), float(query.get("length_s", "5"))
        found, rate = project.samples(recording(request), start_s=start_s, duration_s=length_s, stem=query.get("stem"))
        return _binary(found.tobytes(), rate=rate, channels=found.shape[1])

    async def page(request: Request) -> Response:  # noqa: ARG001
        text = (PAGE / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace("TOKEN", token), headers=HEADERS)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        path = next((folder / name for folder in (PAGE, COMPONENT) if name in os.listdir(folder)), None)
        if path is None or path.suffix not in TYPES:
            return JSONResponse({"error": "there is no such file"}, status_code=404, headers=HEADERS)
        return FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS)

    read = {"project": overview, "recording": opened, "beats": annotation, "status": status, "agreement": agreement,
            "proposals": proposals, "peaks": peaks, "spectrogram": spectrogram, "activations": activations,
            "samples": samples}  # fmt: skip
    written = {"edit": edited, "preview": previewed, "undo": undone, "redo": redone, "save": saved,
               "learn": learn, "accept": accept, "refuse": refuse, "apply": apply_to_all, "cancel": cancel,
               "next": next_uncertain, "suspect": suspect, "calibrate": calibrate,
               "separate": separate, "mix": mix}  # fmt: skip
    hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
    return Starlette(
        routes=[
            Route("/", page),
            Route("/page/{name}", file),
            *(Route(f"/api/{name}", _api(function)) for name, function in read.items()),
            *(Route(f"/api/{name}", _api(function), methods=["POST"]) for name, function in written.items()),
        ],
        middleware=[Middleware(Guard, token=token, hosts=hosts)],
    )


def _binary(content: bytes, **facts: float) -> Response:
    headers = {f"x-{name}": f"{value:g}" for name, value in facts.items()}
    return Response(content, media_type="application/octet-stream", headers={**HEADERS, **headers})


def _listen(port: int) -> socket.socket | None:
    """Return a socket at a port of this machine; None where it is taken."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(("127.0.0.1", port))
    except (OSError, OverflowError):
        found.close()
        return None
    return found


def _refuse(port: int) -> socket.socket:
    raise InputError(f"port {port} is taken or not allowed: choose another one with --port")


def _last_address(path: Path) -> tuple[int, str]:
    """Return port and token of the last server of a project; a new token where there was none."""
    try:
        port, token = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(port, int) and isinstance(token, str) and len(token) >= TOKEN_BYTES:
            return port, token
    except (OSError, ValueError, TypeError):
        pass
    return 0, secrets.token_urlsafe(TOKEN_BYTES)


def _keep_address(path: Path, port: int, token: str) -> None:
    """Write port and token into a file that nobody else may read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump([port, token], file)


@dataclass
class Server:
    """The server of a project on this machine.

    It has the address of the last one where it can, so that a page that is still open goes on.

    Parameters
    ----------
    project : Project
    port : int
        0 for the last one, or any that is free.

    Raises
    ------
    InputError
        If the port is taken.
    """

    project: Project
    port: int = 0

    def __post_init__(self) -> None:
        last_port, self.token = _last_address(self.project.folder / ADDRESS)
        ports = [self.port] if self.port else [last_port, 0]
        self._socket = next((one for port in ports if (one := _listen(port)) is not None), None) or _refuse(self.port)
        self.port = self._socket.getsockname()[1]
        _keep_address(self.project.folder / ADDRESS, self.port, self.token)
        config = uvicorn.Config(
            application(self.project, token=self.token, port=self.port),
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """The address of the page, with its token."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def run(self) -> None:
        """Serve until it is interrupted or `stop` is called."""
        self.project.analyse_all()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.should_exit = True
