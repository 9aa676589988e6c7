// <levada-player src="song.json">: a recording with beats, to play with clicks and to tap along; or with the JSON as its
// content, in a <script type="application/json">. It needs no server and no kernel. STYLE is filled in by levada.

import { INTERVAL_S, N_CLICKS, measureLag } from "./calibration.js";
import { Playback, scheduleClick } from "./playback.js";
import { scoreTaps } from "./scoring.js";
import { mixStems, stem, stemControls } from "./stems.js";
import { LANGUAGES, PLAYER_TEXTS, translate } from "./texts.js";
import { Timeline, clock } from "./timeline.js";

const PEAKS_FPS = 200;
const TILE_S = 30;
const SEEK_S = 2;
const DOUBLE_TAP_S = 0.1;
const CLICK_LEVELS = [0, 0.3, 0.6, 1];
const LAG_KEY = "levada-player-lag";
const HTML = `<section aria-labelledby="title">
  <h3 id="title"></h3><p id="message" role="alert"></p><slot hidden></slot>
  <div id="layers" class="row" role="radiogroup" data-label="layers"></div>
  <canvas id="overview" aria-hidden="true"></canvas>
  <canvas id="timeline" tabindex="0" role="slider" aria-valuemin="0" data-label="timeline"></canvas>
  <div class="row" role="toolbar">
    <button id="play" class="primary" data-label="play" aria-keyshortcuts="Space" disabled>▶</button>
    <output id="clock">0:00.000</output>
    <button id="tap" data-key="T"></button><button id="loop" data-key="L" aria-pressed="false"></button>
    <label><span data-text="clicks"></span> <input id="clicks" type="range" min="0" max="1" step="0.05" value="0.6"></label>
    <label><span data-text="speed"></span> <input id="speed" type="range" min="0.5" max="1" step="0.05" value="1"></label>
    <span class="space"></span>
    <button id="out" data-label="zoomOut">−</button><button id="in" data-label="zoomIn">+</button>
    <button id="calibrate"></button><button id="keys" data-label="keys" aria-expanded="false">?</button>
  </div>
  <div id="stems" class="row" role="group" data-label="stems" hidden></div>
  <div class="row"><p id="score" role="status"></p><button id="clearTaps" hidden></button></div>
  <p id="help" hidden></p>
</section>`;

let playing = null; // one player at a time

// One lag for all players of a page; kept by the browser where it may be.
const lags = {
  value: null,
  get() {
    if (this.value === null) try { this.value = JSON.parse(localStorage.getItem(LAG_KEY)); } catch { /* a page in a frame has no storage */ }
    return this.value;
  },
  set(lag) {
    this.value = lag;
    try { localStorage.setItem(LAG_KEY, JSON.stringify(lag)); } catch { /* until the page is closed */ }
  },
};

async function unpacked(base64) {
  const packed = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function peaksOf(buffer) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
  const peaks = new Int8Array(2 * Math.ceil(buffer.duration * PEAKS_FPS));
  for (let n = 0; n < peaks.length / 2; n++) {
    const end = Math.min(buffer.length, Math.round(((n + 1) * buffer.sampleRate) / PEAKS_FPS));
    let low = 1;
    let high = -1;
    for (const samples of channels) for (let i = Math.round((n * buffer.sampleRate) / PEAKS_FPS); i < end; i++) {
      if (samples[i] < low) low = samples[i];
      if (samples[i] > high) high = samples[i];
    }
    peaks[2 * n] = Math.round(127 * Math.max(low, -1));
    peaks[2 * n + 1] = Math.round(127 * Math.min(high, 1));
  }
  return peaks;
}

class LevadaPlayer extends HTMLElement {
  static observedAttributes = ["lang", "src"];

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).innerHTML = `<style>${STYLE}</style>${HTML}`;
    this.$ = (id) => this.shadowRoot.getElementById(id);
    this.stems = [];
    this.taps = [];
    this.buffers = new Map();
    this.timeline = new Timeline(this.$("timeline"), this.$("overview"), {
      onSeek: (time) => this.seek(time),
      onSelect: () => {},
      onMove: () => {},
      needTile: (n) => this.tile(n),
      needSamples: () => this.samples,
    });
    this.timeline.fixed = true;
    this.playback = new Playback({
      fetchBlock: (start, length) => this.block(start, length),
      beats: () => this.timeline.beats,
      onEnd: () => this.show(),
      onProblem: (problem) => this.tell(problem),
    });
    this.listen();
  }

  connectedCallback() {
    this.settings ??= new MutationObserver(() => { this.showTheme(); this.showTexts(); });
    for (const one of [document.documentElement, document.body]) this.settings.observe(one, { attributes: true });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.onchange = () => this.showTheme();
    this.showTheme();
    this.showTexts();
    this.visible ??= new IntersectionObserver((entries) => { if (entries.some((one) => one.isIntersecting)) this.load(); }, { rootMargin: "400px" });
    this.visible.observe(this);
  }

  disconnectedCallback() {
    this.settings.disconnect();
    this.visible.disconnect();
    this.endCalibration();
    this.playback.halt();
  }

  attributeChangedCallback(name, before) {
    if (name === "lang") this.showTexts();
    else if (before !== null) { this.loaded = null; this.load(); }
  }

  // ---- what pages use

  get currentTime() { return this.playback.place; }
  set currentTime(time) { this.seek(time); }
  get duration() { return this.playback.duration; }
  get paused() { return !this.playback.playing; }
  get layer() { return this.timeline.layers[this.timeline.active].name; }
  set layer(name) { this.choose(this.timeline.layers.findIndex((one) => one.name === name)); }
  get score() { return scoreTaps(this.taps.map(([time]) => time), this.reference.beats.map(([time]) => time)); }

  async play() {
    await this.load();
    if (playing && playing !== this) playing.pause();
    playing = this;
    await this.playback.play();
    this.follow();
  }

  pause() {
    this.playback.pause();
    this.show();
  }

  // ---- loading

  load() {
    this.loaded ??= this.read().catch((problem) => {
      this.tell(this.text("cannotPlay", { problem: problem.message }));
      this.shadowRoot.querySelector("slot").hidden = false; // what the page has for this case
    });
    return this.loaded;
  }

  async read() {
    this.tell(this.text("loading"), true);
    const inside = this.querySelector("script[type='application/json']");
    const address = inside ? document.baseURI : new URL(this.getAttribute("src"), document.baseURI);
    const data = inside ? JSON.parse(inside.textContent) : await (await this.fetched(address)).json();
    const stems = Object.entries(data.stems ?? {});
    const decode = async (name, source) => {
      const bytes = await (await this.fetched(new URL(source, address))).arrayBuffer();
      this.buffers.set(name, await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes));
    };
    await Promise.all([decode("", data.audio), ...stems.map(([name, source]) => decode(name, source))]);
    const buffer = this.buffers.get("");
    const duration = Math.min(buffer.duration, data.duration_s);
    this.stems = stems.map(([name]) => stem(name));
    this.samples = { start: 0, rate: buffer.sampleRate, samples: buffer.getChannelData(0) };
    this.data = data;
    this.playback.duration = duration;
    const { timeline } = this;
    timeline.open({ duration_s: duration, peaks_fps: PEAKS_FPS, spectrogram_fps: data.spectrogram?.fps, bands: data.spectrogram?.bands, tile_s: TILE_S, has_curves: Boolean(data.activations) });
    timeline.origin = data.start_s ?? 0;
    timeline.layers = data.layers.map(({ name, beats, is_reference: isReference }) => ({
      name, colour: isReference ? "sure" : "beat", isReference,
      beats: beats.map(([time, position, inTime, inBar]) => [time, position, false, inTime ?? 1, inBar ?? 1]),
    }));
    if (!timeline.layers.length) timeline.layers = [{ beats: [] }];
    timeline.active = Math.max(0, timeline.layers.findIndex((one) => !one.isReference));
    timeline.setPeaks(peaksOf(buffer).buffer);
    if (data.activations) timeline.setActivations((await unpacked(data.activations.data)).buffer, data.activations.fps);
    if (data.spectrogram) this.spectrogram = await unpacked(data.spectrogram.data);
    this.$("play").disabled = false;
    this.tell("");
    this.showTexts();
    timeline.draw();
    this.dispatchEvent(new Event("canplay"));
  }

  async fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return answer;
  }

  tile(n) {
    if (!this.spectrogram) return;
    const { fps, bands } = this.data.spectrogram;
    this.timeline.tiles.set(n, { data: this.spectrogram.subarray(n * TILE_S * fps * bands, (n + 1) * TILE_S * fps * bands) });
    this.timeline.draw();
  }

  async block(start, length) {
    const part = (name) => {
      const buffer = this.buffers.get(name);
      const [from, to] = [start, start + length].map((time) => Math.round(time * buffer.sampleRate));
      const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => {
        const samples = new Float32Array(to - from); // stems may be some samples shorter
        samples.set(buffer.getChannelData(c).subarray(from, to));
        return samples;
      });
      return { channels, rate: buffer.sampleRate };
    };
    return this.stems.length ? mixStems(this.stems, part, () => part("")) : part("");
  }

  // ---- beats, taps

  get reference() {
    return this.timeline.layers.find((one) => one.isReference) ?? this.timeline.layers[this.timeline.active];
  }

  choose(layer) {
    if (!this.timeline.layers[layer]) return;
    this.timeline.active = layer;
    this.playback.restart();
    this.showLayers();
    this.showScore();
    this.timeline.draw();
  }

  // pageTime: as of an event, in ms.
  tap(pageTime = performance.now()) {
    if (this.calibration) { this.calibration.taps.push(this.playback.clockAt(pageTime)); return; }
    if (!this.playback.playing) return;
    const time = this.playback.placeAt(this.playback.clockAt(pageTime) - (lags.get() ?? 0) / 1000);
    if (this.taps.some(([one]) => Math.abs(one - time) <= DOUBLE_TAP_S)) return;
    this.taps = [...this.taps, [time, 0]].sort((a, b) => a[0] - b[0]);
    this.showTaps();
    this.$("tap").classList.add("primary");
    setTimeout(() => this.$("tap").classList.remove("primary"), 90);
  }

  clearTaps() {
    this.taps = [];
    this.showTaps();
  }

  async calibrate() {
    if (this.calibration) { this.endCalibration(); this.showScore(); return; }
    this.pause();
    const { audio } = this.playback;
    await audio.resume();
    const first = audio.currentTime + 1;
    const clicks = Array.from({ length: N_CLICKS }, (_, i) => first + i * INTERVAL_S);
    this.calibration = { clicks, taps: [], sources: clicks.map((when, i) => scheduleClick(audio, audio.destination, when, i % 4 === 0)) };
    this.$("calibrate").setAttribute("aria-pressed", true);
    this.$("score").textContent = this.text("calibrating");
    this.calibration.timer = setTimeout(() => {
      const measured = measureLag(clicks, this.calibration.taps);
      this.endCalibration();
      if (measured) lags.set(measured.lag_ms);
      this.showScore();
      const values = measured && { lag: measured.lag_ms.toFixed(0), spread: measured.spread_ms.toFixed(0) };
      this.$("score").textContent = this.text(measured ? "calibrated" : "calibratedFew", values ?? {});
    }, 1000 * (1 + N_CLICKS * INTERVAL_S + 0.4));
    this.$("timeline").focus({ preventScroll: true });
  }

  endCalibration() {
    clearTimeout(this.calibration?.timer);
    for (const one of this.calibration?.sources ?? []) one.stop();
    this.calibration = null;
    this.$("calibrate").setAttribute("aria-pressed", false);
  }

  // ---- playing

  seek(time) {
    this.playback.seek(time);
    this.show();
  }

  toggle() { return this.paused ? this.play() : this.pause(); }

  loop() {
    const { playback, timeline } = this;
    const place = playback.place;
    if (playback.loop) playback.loop = null;
    else {
      const ones = timeline.beats.filter((one) => one[1] === 1).map(([time]) => time);
      const first = ones.findLastIndex((time) => time <= place + 0.01);
      playback.loop = first >= 0 && ones[first + 2] !== undefined ? [ones[first], ones[first + 2]] : [place, Math.min(place + 4, playback.duration)];
    }
    timeline.loop = playback.loop;
    playback.restart();
    this.show();
  }

  setSpeed(speed) {
    this.playback.speed = Math.min(1, Math.max(0.5, Math.round(20 * speed) / 20));
    this.$("speed").value = this.playback.speed;
    this.playback.restart();
  }

  setClicks(level) {
    this.playback.setClickLevel(level);
    this.$("clicks").value = level;
  }

  follow() {
    this.show();
    if (!this.paused) requestAnimationFrame(() => this.follow());
  }

  // ---- what is shown

  get language() {
    const wanted = this.getAttribute("lang") || this.data?.language || this.closest("[lang]")?.lang || navigator.language;
    return LANGUAGES.find((one) => wanted.toLowerCase().startsWith(one)) ?? "en";
  }

  text(name, values) { return translate(PLAYER_TEXTS, this.language, name, values); }

  tell(message, isProgress = false) {
    this.$("message").textContent = message;
    this.$("message").setAttribute("role", isProgress ? "status" : "alert");
  }

  // The page's own colours decide, whatever it calls its themes: light text is on a dark page.
  showTheme() {
    const [red, green, blue] = getComputedStyle(this.parentElement ?? this).color.match(/[\d.]+/g).map(Number);
    this.dataset.theme = this.getAttribute("theme") ?? (0.3 * red + 0.6 * green + 0.1 * blue > 128 ? "dark" : "light");
    this.timeline.colours();
  }

  showTexts() {
    const { shadowRoot: root } = this;
    this.$("title").textContent = this.data?.title ?? "";
    this.$("title").hidden = !this.data?.title;
    root.querySelector("section").lang = this.language;
    for (const one of root.querySelectorAll("[data-text]")) one.textContent = this.text(one.dataset.text);
    for (const one of root.querySelectorAll("[data-label]")) {
      one.title = this.text(one.dataset.label);
      one.setAttribute("aria-label", one.title);
    }
    for (const id of ["tap", "loop", "calibrate", "clearTaps"]) {
      const { key } = this.$(id).dataset;
      this.$(id).textContent = this.text(id);
      if (key) { const mark = document.createElement("kbd"); mark.textContent = key; mark.setAttribute("aria-hidden", true); this.$(id).append(mark); }
    }
    this.$("help").textContent = this.text("keysHow");
    this.showLayers();
    this.showStems();
    this.showTaps();
    this.show();
  }

  showLayers() {
    const layers = this.timeline.layers.filter((one) => !one.isTaps);
    this.$("layers").replaceChildren(...(layers.length > 1 ? layers : []).map((one, i) => {
      const button = document.createElement("button");
      button.textContent = one.name;
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", i === this.timeline.active);
      button.onclick = () => this.choose(i);
      return button;
    }));
  }

  showStems() {
    this.$("stems").hidden = !this.stems.length;
    const text = (name, values) => this.text(name, values);
    this.$("stems").replaceChildren(...stemControls(this.stems, text, () => { this.playback.restart(); this.showStems(); }));
  }

  showTaps() {
    const layers = this.timeline.layers.filter((one) => !one.isTaps);
    if (this.taps.length) layers.push({ name: this.text("taps"), beats: this.taps, colour: "other", isTaps: true });
    this.timeline.layers = layers;
    this.showScore();
    this.timeline.draw();
  }

  showScore() {
    const { score } = this;
    this.$("clearTaps").hidden = !score;
    if (!score) { this.$("score").textContent = ""; return; }
    const [mean, spread] = [score.mean_ms, score.spread_ms].map((one) => (one === null ? "–" : one.toFixed(0)));
    const lag = lags.get();
    this.$("score").textContent = `${this.text("score", { ...score, name: this.reference.name, f: score.f.toFixed(2), mean, spread })} · ${
      lag === null ? this.text("scoreUncalibrated") : this.text("scoreLag", { lag: lag.toFixed(0) })}`;
  }

  show() {
    const { playback, timeline } = this;
    timeline.cursor = playback.place;
    if (playback.playing) timeline.reveal(timeline.cursor, true);
    timeline.draw();
    const shown = clock(timeline.origin + timeline.cursor);
    this.$("play").textContent = playback.playing ? "❚❚" : "▶";
    this.$("loop").setAttribute("aria-pressed", Boolean(playback.loop));
    this.$("clock").textContent = shown;
    this.$("timeline").setAttribute("aria-valuemax", playback.duration.toFixed(3));
    this.$("timeline").setAttribute("aria-valuenow", timeline.cursor.toFixed(3));
    this.$("timeline").setAttribute("aria-valuetext", shown);
  }

  // ---- keys and buttons

  listen() {
    const { $, timeline } = this;
    const keys = {
      " ": () => this.toggle(), Escape: () => { this.endCalibration(); this.playback.stop(); this.show(); }, l: () => this.loop(),
      x: () => this.choose((timeline.active + 1) % timeline.layers.filter((one) => !one.isTaps).length),
      ArrowLeft: () => this.seek(this.currentTime - SEEK_S), ArrowRight: () => this.seek(this.currentTime + SEEK_S),
      Home: () => this.seek(0), End: () => this.seek(this.duration),
      "[": () => this.setSpeed(this.playback.speed - 0.05), "]": () => this.setSpeed(this.playback.speed + 0.05),
      c: () => this.setClicks(CLICK_LEVELS.find((one) => one > this.playback.clickLevel + 0.01) ?? 0),
      "+": () => timeline.zoom(0.7), "=": () => timeline.zoom(0.7), "-": () => timeline.zoom(1 / 0.7), "?": () => $("keys").click(),
    };
    this.shadowRoot.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const { target } = event;
      if (target.matches("input") && /^(Arrow|Home|End)/.test(key)) return;
      const isTap = key === "t" || (key === " " && this.calibration);
      if (!isTap && (!keys[key] || (key === " " && target.matches("button")))) return;
      event.preventDefault();
      event.stopPropagation(); // notebooks and themes have keys of their own
      if (!isTap) keys[key]();
      else if (!event.repeat) this.tap(event.timeStamp);
    });
    const pressed = (id, work) => $(id).addEventListener("click", work);
    pressed("play", () => this.toggle());
    pressed("loop", () => this.loop());
    pressed("in", () => timeline.zoom(0.7));
    pressed("out", () => timeline.zoom(1 / 0.7));
    pressed("calibrate", () => this.calibrate());
    pressed("clearTaps", () => this.clearTaps());
    pressed("keys", () => { $("help").hidden = !$("help").hidden; $("keys").setAttribute("aria-expanded", !$("help").hidden); });
    $("tap").addEventListener("pointerdown", (event) => this.tap(event.timeStamp));
    $("tap").addEventListener("click", (event) => { if (!event.detail) this.tap(event.timeStamp); });
    $("clicks").addEventListener("input", () => this.playback.setClickLevel(Number($("clicks").value)));
    $("speed").addEventListener("change", () => this.setSpeed(Number($("speed").value)));
  }
}

if (!customElements.get("levada-player")) customElements.define("levada-player", LevadaPlayer);
