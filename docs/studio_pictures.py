"""Takes the pictures of docs/studio.md in Chromium: python docs/studio_pictures.py."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import levada
from levada.io import audio
from levada.studio import Project
from levada.studio.server import Server

DOCS = Path(__file__).parent
COLOURS = 96
READY = "window.levada && levada.state.beats.length > 0 && levada.timeline.peaks && levada.timeline.activations"


def wait(page: Page, condition: str, seconds: float = 300) -> None:
    """Wait until a condition of JavaScript is true."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({condition})"):
        if time.monotonic() > end:
            raise TimeoutError(condition)
        time.sleep(0.05)


def take(page: Page, name: str) -> None:
    """Take a picture of the page, in few colours: 150 kB at most."""
    path = DOCS / f"{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> None:
    """Render recordings, tap sixteen beats, learn, and take a picture at each step."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        root = Path(folder) / "my-recordings"
        root.mkdir()
        pieces = {f"candombe-{n}": levada.render("candombe", duration_s=60, seed=30 + n) for n in (1, 2, 3)}
        for name, piece in pieces.items():
            audio.write(root / f"{name}.flac", piece.mixture, rate=piece.rate)
        project = Project(root)
        server = Server(project)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        project.jobs.wait()
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", locale="en-GB")
        page.goto(server.address)
        wait(page, READY)
        page.evaluate("levada.open('candombe-1')")
        wait(page, f"levada.state.id === 'candombe-1' && {READY}")
        rng = np.random.default_rng(0)
        for time_s, position in list(pieces["candombe-1"].beats)[4:20]:
            page.evaluate(f"levada.player.seek({time_s + rng.normal(0, 0.01)})")
            page.keyboard.press(str(position))
            wait(page, "!levada.queue.running")
        page.keyboard.press("Enter")
        wait(page, "levada.state.proposals.length === 2")
        page.evaluate("levada.timeline.setView(4, 18)")
        time.sleep(2)
        take(page, "studio-light")
        page.keyboard.press("Enter")
        wait(page, "levada.state.accepted && !levada.state.shown")
        page.click("#apply")
        project.jobs.wait()
        page.click("#theme")
        page.keyboard.press("n")
        wait(page, "levada.timeline.selected !== null")
        page.evaluate("document.querySelector('#message').textContent = ''")
        time.sleep(2)
        take(page, "studio-dark")
        page.select_option("#language", "es")
        page.set_viewport_size({"width": 640, "height": 900})
        page.evaluate("levada.timeline.setView(levada.timeline.selected - 2, levada.timeline.selected + 4)")
        time.sleep(2)
        take(page, "studio-200")
        page = browser.new_page(viewport={"width": 1000, "height": 560}, color_scheme="light", locale="en-GB")
        piece = pieces["candombe-1"]
        models = {"base": project.base, "adapted": project.tracker}
        estimates = {name: model.track(piece.mixture, piece.rate) for name, model in models.items()}
        player = levada.Player(piece.mixture, piece.rate, beats=estimates, reference=piece.beats, title="candombe-1")
        player.save(root / "player.html")
        page.goto((root / "player.html").as_uri())
        time.sleep(3)
        take(page, "player")
        browser.close()
        server.stop()
        thread.join()
        project.close()


if __name__ == "__main__":
    main()
