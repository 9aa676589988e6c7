"""<levada-player> in a real Chromium: it plays, clicks and scores without a server of levada's."""

import http.server
import threading
import time

import numpy as np
import pytest

import levada
from levada.player import script

pytestmark = pytest.mark.slow
RATE = 44_100
TIMES = np.arange(1, 20) * 0.4321
BEATS = levada.Beats(TIMES, np.arange(19) % 4 + 1)
PLAYER = "document.querySelector('levada-player')"
READY = f"{PLAYER}.data && !{PLAYER}.$('play').disabled"


@pytest.fixture(scope="module")
def player():
    sound = np.zeros(10 * RATE, np.float32)
    for time_s in TIMES:
        sound[round(time_s * RATE) :][:400] = 0.5 * np.sin(np.arange(400))
    curves = np.zeros((1000, 2))
    curves[(100 * TIMES).round().astype(int)] = 0.9
    early = levada.Beats(TIMES - 0.1, BEATS.positions)
    drum = np.random.default_rng(0).normal(0, 0.05, len(sound))
    return levada.Player(
        sound, RATE, beats={"before": early, "after": BEATS}, reference=BEATS, activations=curves,
        stems={"drum": drum, "bell": sound}, title="Test",
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(player, tmp_path_factory):
    """A static site with the player in a folder of files, and the page of one file."""
    folder = tmp_path_factory.mktemp("site")
    element = player.write(folder / "sound", "test", address="sound/")
    (folder / "index.html").write_text(f'<!doctype html><html lang="en"><meta charset="utf-8"><body>{element}{element}')
    broken = element.replace("test.json", "missing.json")
    (folder / "broken.html").write_text(f"<!doctype html><meta charset='utf-8'>{broken}")
    player.save(folder / "single.html")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Quiet", (_Quiet,), {"root": str(folder)}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    root = ""

    def __init__(self, *given):
        super().__init__(*given, directory=self.root)

    def log_message(self, *_):
        pass


@pytest.fixture
def opened(chromium):
    """Open a page; its requests and errors are lists of the page."""
    contexts = []

    def open_page(address, **options):
        context = chromium.new_context(**{"viewport": {"width": 1000, "height": 760}, "locale": "en-GB", **options})
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.requests, page.problems = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(address)
        page.wait_for_function(READY)
        return page

    yield open_page
    for context in contexts:
        assert [one.problems for one in context.pages] == [[]] * len(context.pages)
        context.close()


@pytest.fixture(params=["http", "file"])
def page(request, opened, site):
    folder, address = site
    return opened(f"{address}/index.html" if request.param == "http" else (folder / "single.html").as_uri())


def test_it_plays_and_asks_no_other_host(page):
    assert all(url.startswith(("http://127.0.0.1:", "file:", "data:", "blob:")) for url in page.requests)
    page.evaluate(f"{PLAYER}.play()")
    page.wait_for_function(f"{PLAYER}.currentTime > 0.5")
    page.evaluate(f"{PLAYER}.pause()")
    assert 0.5 < page.evaluate(f"{PLAYER}.currentTime") < 10
    assert page.evaluate(f"{PLAYER}.duration") == pytest.approx(10, abs=0.001)
    assert page.evaluate(f"{PLAYER}.paused")


def test_one_player_of_a_page_plays_at_a_time(opened, site):
    page = opened(f"{site[1]}/index.html")
    both = "[...document.querySelectorAll('levada-player')]"
    for n in (0, 1):
        page.evaluate(f"{both}[{n}].play()")
        page.wait_for_function(f"{both}[{n}].currentTime > 0.2")
        assert page.evaluate(f"{both}.map((one) => one.paused)") == [n == 1, n == 0]


def test_clicks_and_sound_lie_within_2_ms_of_the_labels(page):
    page.evaluate(f"{PLAYER}.layer = 'after'")
    clicks = np.array(page.evaluate(f"{PLAYER}.playback.render(0, 10).then((samples) => Array.from(samples))"))
    sound = np.array(page.evaluate(f"{PLAYER}.block(0, 10).then(() => Array.from({PLAYER}.samples.samples))"))
    for samples, rate in ((clicks, 44_100), (sound, page.evaluate(f"{PLAYER}.samples.rate"))):
        loud = np.flatnonzero(np.abs(samples) > 0.2)
        onsets = loud[np.concatenate([[True], np.diff(loud) > 0.1 * rate])] / rate
        assert onsets == pytest.approx(TIMES, abs=0.002)


def test_a_tap_is_scored_within_5_ms_of_the_scheduled_click(page):
    page.evaluate(f"{PLAYER}.play()")
    page.wait_for_function(f"{PLAYER}.currentTime > 0.3")
    # the page is told to tap at the very times of the clock when labels sound
    offsets = page.evaluate(
        f"""() => {{ const one = {PLAYER}, first = one.playback.segments[0];
        for (const [time] of one.reference.beats.slice(2, 10)) {{
          one.playback.clockAt = () => first.at + time - first.from + 0.012; one.tap(1); }}
        delete one.playback.clockAt; one.pause(); return one.score; }}"""
    )
    assert offsets["taps"] == offsets["labels"] == 8
    assert offsets["f"] == 1
    assert offsets["mean_ms"] == pytest.approx(12, abs=5)
    assert offsets["spread_ms"] < 1
    assert "F 1.00" in page.evaluate(f"{PLAYER}.$('score').textContent")


def test_taps_by_the_keyboard_while_it_plays(page):
    page.evaluate(f"{PLAYER}.$('timeline').focus()")
    page.keyboard.press("t")  # not playing
    assert page.evaluate(f"{PLAYER}.taps.length") == 0
    page.keyboard.press("Space")
    page.wait_for_function(f"{PLAYER}.currentTime > 0.3")
    expected = page.evaluate(f"{PLAYER}.currentTime")
    page.keyboard.press("t")
    page.keyboard.press("Escape")
    tapped = page.evaluate(f"{PLAYER}.taps.map((one) => one[0])")
    assert tapped == pytest.approx([expected], abs=0.3)
    page.evaluate(f"{PLAYER}.clearTaps()")
    assert page.evaluate(f"{PLAYER}.score") is None


@pytest.mark.parametrize(
    ("taps", "labels", "f", "mean_ms"),
    [
        ([1.01, 2.03, 3.02], [0, 1, 2, 3, 4], 1, 20),
        ([1.01, 1.05, 2.01], [1, 2], 0.8, 10),
        ([1.01, 2.2, 3.01], [1, 2, 3], 2 / 3, 10),
        ([1.5], [1, 2], 0, None),
    ],
)
def test_scores_of_taps(opened, site, taps, labels, f, mean_ms):
    page = opened(f"{site[1]}/index.html")
    score = page.evaluate(
        f"""() => {{ const one = {PLAYER}; one.timeline.layers[0].beats = {labels}.map((time) => [time, 0]);
        one.taps = {taps}.map((time) => [time, 0]); return one.score; }}"""
    )
    assert score["f"] == pytest.approx(f)
    assert score["mean_ms"] == (None if mean_ms is None else pytest.approx(mean_ms))


def test_calibration_corrects_the_lag(opened, site):
    page = opened(f"{site[1]}/index.html")
    page.evaluate(f"{PLAYER}.calibrate()")
    page.wait_for_function(f"{PLAYER}.calibration")
    page.evaluate(f"{PLAYER}.calibration.taps = {PLAYER}.calibration.clicks.map((one) => one + 0.08)")
    page.wait_for_function(f"!{PLAYER}.calibration")
    assert "80 ms" in page.evaluate(f"{PLAYER}.$('score').textContent")
    taken = page.evaluate(
        f"""async () => {{ const one = {PLAYER}; await one.play(); while (!one.playback.segments.length)
        await new Promise((done) => setTimeout(done, 20)); const first = one.playback.segments[0];
        one.playback.clockAt = () => first.at + 1.08; one.tap(); one.pause(); return one.taps[0][0]; }}"""
    )
    assert taken == pytest.approx(1, abs=0.005)


def test_before_and_after_are_switched_by_button_and_key(page):
    assert page.evaluate(f"{PLAYER}.layer") == "before"
    page.get_by_role("radio", name="after").first.click()
    assert page.evaluate(f"{PLAYER}.layer") == "after"
    assert page.evaluate(f"{PLAYER}.playback.beats()[0][0]") == pytest.approx(TIMES[0], abs=1e-4)
    page.evaluate(f"{PLAYER}.$('timeline').focus()")
    page.keyboard.press("x")
    assert page.evaluate(f"{PLAYER}.layer") == "reference"


def test_stems_have_solo_and_mute(page):
    loud = f"{PLAYER}.block(1, 5).then((block) => block.channels[0].reduce((most, one) => Math.max(most, one), 0))"
    assert page.evaluate(loud) > 0.3
    page.get_by_role("button", name="Mute bell").first.click()
    assert 0.05 < page.evaluate(loud) < 0.3
    page.get_by_role("button", name="Mute drum").first.click()
    assert page.evaluate(loud) == 0


def test_languages_follow_the_page_and_the_attribute(page):
    texts = []
    for language in ("en", "es", "pt"):
        page.evaluate(f"document.documentElement.lang = '{language}'")
        page.wait_for_function(f"{PLAYER}.shadowRoot.querySelector('section').lang === '{language}'")
        texts.append(page.evaluate(f"{PLAYER}.$('calibrate').textContent + {PLAYER}.$('play').title"))
    assert len(set(texts)) == 3
    page.evaluate(f"{PLAYER}.lang = 'en'")
    assert page.evaluate(f"{PLAYER}.$('play').title") == "Play or pause"
    bare = page.evaluate(
        f"[...{PLAYER}.shadowRoot.querySelectorAll('button, input')].filter((one) => !one.closest('[hidden]')"
        " && !one.textContent.trim() && !one.labels?.length && !one.getAttribute('aria-label')).length"
    )
    assert bare == 0


def test_it_is_dark_on_dark_pages_and_fits_at_200_percent(opened, site):
    page = opened(f"{site[1]}/single.html", color_scheme="dark", viewport={"width": 500, "height": 380})
    assert page.evaluate(f"{PLAYER}.dataset.theme") == "dark"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page = opened(f"{site[1]}/index.html", color_scheme="dark")  # a page without a dark theme
    assert page.evaluate(f"{PLAYER}.dataset.theme") == "light"
    page.evaluate("document.body.style.color = 'white'")
    page.wait_for_function(f"{PLAYER}.dataset.theme === 'dark'")


def test_what_cannot_be_loaded_is_a_message_and_a_plain_player(chromium, site):
    page = chromium.new_page()
    page.goto(f"{site[1]}/broken.html")
    page.wait_for_function(f"{PLAYER}.$('message').textContent.includes('404')")
    assert page.is_visible("audio")
    page.close()


def test_the_script_may_be_a_module_and_come_twice(chromium, player):
    page = chromium.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_content(f"<script type='module'>{script()}</script>{player._repr_html_()}{player._repr_html_()}")
    page.wait_for_function(READY)
    time.sleep(0.2)
    assert problems == []
    page.close()
