"""The server: what it answers, and whom it refuses."""

import os
import socket

import numpy as np
import pytest

from levada.errors import InputError
from levada.studio import views

testclient = pytest.importorskip("starlette.testclient", reason="needs the extra studio and httpx")
server = pytest.importorskip("levada.studio.server", reason="needs the extra studio")

TOKEN = "right"
HEADERS = {"x-levada-token": TOKEN}


@pytest.fixture
def client(project):
    application = server.application(project, token=TOKEN, port=8765)
    return testclient.TestClient(application, base_url="http://127.0.0.1:8765")


def test_the_page_has_the_token_and_its_files_need_none(client):
    page = client.get("/", params={"token": TOKEN})
    assert page.status_code == 200
    assert f'content="{TOKEN}"' in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert client.get("/page/studio.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/?token=wrong", {}),
        ("/api/project", {}),
        ("/api/project", {"x-levada-token": "wrong"}),
        ("/api/project?token=right", {}),
        ("/api/project", HEADERS | {"host": "evil.example"}),
        ("/api/project", HEADERS | {"host": "127.0.0.1:80"}),
        ("/api/project", HEADERS | {"origin": "https://evil.example"}),
        ("/api/project", HEADERS | {"origin": "null"}),
        ("/api/project", HEADERS | {"sec-fetch-site": "cross-site"}),
        ("/?token=right", {"host": "rebound.example:8765"}),
    ],
)
def test_others_are_refused(client, path, headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert "recordings" not in answer.text


def test_who_opens_a_wrong_address_reads_why(client):
    answer = client.get("/?token=wrong")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "open the address that levada printed" in answer.text


def test_another_page_cannot_edit(client, project):
    before = project.state("even").annotation
    body = {"kind": "delete", "arguments": {"time_s": 1}}
    answer = client.post("/api/edit", params={"id": "even"}, json=body, headers=HEADERS | {"origin": "http://evil"})
    assert answer.status_code == 403
    assert project.state("even").annotation == before


@pytest.mark.parametrize("name", ["..%2Fserver.py", "%2e%2e/project.py", "studio.py", "index.html", "nothing.js"])
def test_no_other_file_is_served(client, name):
    assert client.get(f"/page/{name}").status_code == 404


@pytest.mark.parametrize("name", ["../recordings/even", "/etc/passwd", "even.wav", "", "EVEN"])
@pytest.mark.parametrize("what", ["samples", "peaks", "beats", "spectrogram", "recording"])
def test_recordings_are_named_by_their_ids_alone(client, name, what):
    answer = client.get(f"/api/{what}", params={"id": name}, headers=HEADERS)
    assert answer.status_code == 400
    assert "there is no recording" in answer.json()["error"]


def test_a_recording_is_opened_drawn_played_edited_and_saved(client, recordings):
    query = {"id": "even"}

    def get(name, **more):
        answer = client.get(f"/api/{name}", params=query | more, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return answer

    def post(name, body):
        answer = client.post(f"/api/{name}", params=query, json=body, headers=HEADERS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert [row["id"] for row in get("project").json()["recordings"]] == ["even", "waltz"]
    info = get("recording").json()
    assert (info["duration_s"], info["rate"]) == (20.0, 22_050)
    assert len(get("peaks").content) == 2 * 20 * views.PEAKS_FPS
    assert len(get("spectrogram", tile=0).content) == 20 * views.SPECTROGRAM_FPS * views.N_BANDS
    curves = get("activations")
    assert len(curves.content) == 2 * 20 * float(curves.headers["x-fps"])
    part = get("samples", start_s=0.5, length_s=0.1)
    samples = np.frombuffer(part.content, np.int16)
    assert (len(samples), part.headers["x-rate"], part.headers["x-channels"]) == (2205, "22050", "1")
    assert np.abs(samples[:200]).max() > 3000  # the click at 0.5 s
    state = get("beats").json()
    edited = post("edit", {"kind": "verify", "arguments": {"start_s": 0, "end_s": 3}, "lag_ms": 80, "device": "x"})
    assert sum(beat[2] for beat in edited["beats"]) == 6
    assert edited["undo"] == 1
    assert post("undo", {})["beats"] == state["beats"]
    assert post("redo", {})["beats"] == edited["beats"]
    assert post("save", {"suffix": ".csv"}) == {"written": ["even.csv"]}
    assert (recordings[0] / "even.csv").is_file()
    assert get("status").json()["revision"] > 0
    assert post("next", {})["bar"]["id"] == "even"
    assert post("suspect", {}) == {"suspect": None}
    one = edited["beats"][3]
    moved = post("edit", {"kind": "move", "arguments": {"time_s": one[0], "to_s": one[0] + 0.12}})
    assert (edited["right"], moved["right"], moved["enough"]) == (0, 0, False)
    assert post("suspect", {})["suspect"]["time_s"] == pytest.approx(one[0] + 0.12)
    assert post("edit", {"kind": "verify", "arguments": {"start_s": 4, "end_s": 6}})["right"] == 0  # it was corrected


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("edit", {"kind": "fly"}, "no operation"),
        ("edit", {"kind": "tap", "arguments": [1]}, "JSON object"),
        ("edit", {"kind": "tap", "arguments": {"time_s": 99}}, "after the end"),
        ("edit", {"kind": "tap", "arguments": {"time_s": 1}, "annotator": "../me"}, "letters, digits"),
        ("save", {"suffix": "/../../x.beats"}, "no format"),
        ("accept", {"strategy": "auto"}, "no such proposal"),
        ("suspect", {"annotator": "../me"}, "letters, digits"),
        ("calibrate", {"device": "x"}, "the request has no 'lag_ms'"),
        ("calibrate", {"lag_ms": [1], "spread_ms": 2}, "float"),
        ("calibrate", {"device": "x", "lag_ms": 1e9, "spread_ms": 1}, "cannot be right"),
        ("edit", {"kind": "x" * 200_000}, "too large"),
    ],
)
def test_what_is_wrong_is_a_message(client, name, body, problem):
    answer = client.post(f"/api/{name}", params={"id": "even"}, json=body, headers=HEADERS)
    assert answer.status_code == 400
    assert problem in answer.json()["error"]


def test_a_request_that_is_no_json_is_a_message(client):
    answer = client.post("/api/edit", params={"id": "even"}, content=b"{", headers=HEADERS)
    assert answer.status_code == 400


def test_calibrations_are_kept_by_device(client):
    body = {"device": "headphones", "lag_ms": 81.234, "spread_ms": 12.0}
    assert client.post("/api/calibrate", json=body, headers=HEADERS).status_code == 200
    kept = client.get("/api/project", headers=HEADERS).json()["calibrations"]
    assert kept == {"headphones": {"lag_ms": 81.23, "spread_ms": 12.0}}


def test_a_port_that_is_taken_is_refused(project):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="is taken"):
            server.Server(project, taken.getsockname()[1])


def test_a_server_that_is_started_again_has_the_same_address_and_keeps_it_private(project):
    first = server.Server(project)
    first._socket.close()
    again = server.Server(project)
    assert again.address == first.address
    again._socket.listen()
    other = server.Server(project)  # the port is taken now
    assert other.port != again.port
    assert other.token == first.token
    for one in (again, other):
        one._socket.close()
    kept = project.folder / server.ADDRESS
    assert os.name != "posix" or kept.stat().st_mode & 0o077 == 0
    kept.write_text("damaged")
    fresh = server.Server(project)
    assert fresh.token != first.token
    fresh._socket.close()


def test_the_server_listens_on_this_machine_alone(project):
    served = server.Server(project)
    assert served.address.startswith("http://127.0.0.1:")
    assert served._socket.getsockname()[0] == "127.0.0.1"
    served._socket.close()
