// One time axis, from the whole recording to milliseconds: ruler, beats, waveform, spectrogram and activations.

const RULER = 20;
const LANE = 36; // of the beats that can be edited, or that are audible
const THIN_LANE = 26; // of other beats
const NARROWEST_S = 0.05;
const GRAB_PX = 7;
const PIECE_PX = 128; // waveform and activations are painted in pieces, which are kept
const MOST_PIECES = 100;
const NEW_PIECES = 2; // of each kind in a frame: it must not take long
const SPECTRUM = ["--spectrum-0", "--spectrum-1", "--spectrum-2", "--spectrum-3"];
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];

export const clock = (s, digits = 3) => {
  const whole = Math.max(0, s);
  const minutes = Math.floor(whole / 60);
  return `${minutes}:${(whole - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
};

const channels = (text) => {
  const hex = text.trim().slice(1);
  return [0, 2, 4].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
};

export class Timeline {
  // calls: onSeek(time), onSelect(time), onDrag(from, to), onMove(from, to), needTile(n), needSamples(from, to)
  constructor(canvas, overview, calls) {
    Object.assign(this, { canvas, overview, calls });
    this.view = [0, 10];
    this.duration = 10;
    this.origin = 0; // what the recording's times begin with
    this.layers = [{ beats: [] }]; // { beats: [[time, position, verified, certainties]], name, colour }, in lanes from top to bottom
    this.active = 0; // the layer whose beats are drawn large
    this.preview = []; // beats that an edit would place, in grey
    this.selected = null;
    this.cursor = 0;
    this.loop = null;
    this.dragged = null;
    this.pieces = new Map();
    this.scales = new Map(); // in which each kind was painted last
    this.colours();
    new ResizeObserver(() => this.resize()).observe(canvas);
    new ResizeObserver(() => this.resize()).observe(overview);
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.onDown(event));
    canvas.addEventListener("pointermove", (event) => this.onPointer(event));
    canvas.addEventListener("pointerup", (event) => this.onUp(event));
    canvas.addEventListener("pointercancel", () => { this.dragged = null; this.calls.onDrag?.(0, 0); this.draw(); });
    const jump = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      this.calls.onSeek((event.offsetX / this.overview.clientWidth) * this.duration);
    };
    overview.addEventListener("pointerdown", jump);
    overview.addEventListener("pointermove", jump);
  }

  colours() {
    const style = getComputedStyle(this.canvas);
    this.colour = Object.fromEntries(
      ["ground", "panel", "line", "ink", "quiet", "accent", "sure", "beat", "wave", "other"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    const stops = SPECTRUM.map((name) => channels(style.getPropertyValue(name)));
    this.palette = Uint8ClampedArray.from({ length: 256 * 4 }, (_, i) => {
      if (i % 4 === 3) return 255;
      const at = ((i >> 2) / 255) * (stops.length - 1);
      const low = Math.min(Math.floor(at), stops.length - 2);
      return stops[low][i % 4] + (at - low) * (stops[low + 1][i % 4] - stops[low][i % 4]);
    });
    for (const tile of this.tiles?.values() ?? []) if (tile) tile.canvas = null;
    this.pieces.clear();
    this.draw();
  }

  get beats() { return this.layers[this.active].beats; }
  set beats(beats) { this.layers[this.active].beats = beats; }

  // Where the lane of a layer begins; without a layer, where the last one ends.
  laneTop(layer = this.layers.length) {
    return RULER + layer * THIN_LANE + (layer > this.active ? LANE - THIN_LANE : 0);
  }

  open(info) {
    this.info = info;
    this.duration = info.duration_s;
    this.peaks = null;
    this.activations = null;
    this.tiles = new Map();
    this.pieces.clear();
    this.samples = null;
    this.layers = [{ beats: [] }];
    this.active = 0;
    this.preview = [];
    this.selected = null;
    this.view = [0, Math.min(info.duration_s, 20)];
    this.cursor = 0;
    this.draw();
  }

  // All peaks, or a part of them that begins with the n-th.
  setPeaks(buffer, n = 0, total = buffer.byteLength / 2) {
    if (!this.peaks) {
      this.peaks = [new Int8Array(2 * total)];
      while (this.peaks.at(-1).length > 4096) this.peaks.push(new Int8Array(2 * Math.ceil(this.peaks.at(-1).length / 4)));
    }
    // halves of halves, so that any zoom reads two values a pixel
    const levels = this.peaks;
    const given = new Int8Array(buffer).subarray(0, Math.max(0, 2 * (total - n)));
    levels[0].set(given, 2 * n);
    let [from, to] = [n, n + given.length / 2];
    for (let level = 1; level < levels.length; level++) {
      const [fine, coarse] = [levels[level - 1], levels[level]];
      [from, to] = [from >> 1, Math.ceil(to / 2)];
      for (let i = 2 * from; i < 2 * to; i += 2) {
        coarse[i] = Math.min(fine[2 * i], fine[2 * i + 2] ?? 127);
        coarse[i + 1] = Math.max(fine[2 * i + 1], fine[2 * i + 3] ?? -127);
      }
    }
    this.layerPeaks = null; // the overview is painted again
    this.loudest = levels.at(-1).reduce((most, one) => Math.max(most, Math.abs(one)), 8); // quiet recordings fill the lane too
    this.pieces.clear();
    this.drawOverview();
    this.draw();
  }

  setActivations(buffer, fps) {
    const levels = [new Uint8Array(buffer)];
    while (levels.at(-1).length > 4096) {
      const fine = levels.at(-1);
      levels.push(Uint8Array.from({ length: 2 * Math.ceil(fine.length / 4) }, (_, i) => {
        const at = 4 * (i >> 1) + (i & 1);
        return Math.max(fine[at], fine[at + 2] ?? 0);
      }));
    }
    this.activations = { levels, fps };
    this.pieces.clear();
    this.draw();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    for (const one of [this.canvas, this.overview]) {
      one.width = Math.round(one.clientWidth * ratio);
      one.height = Math.round(one.clientHeight * ratio);
      one.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.drawOverview();
    this.paint();
  }

  x(time) { return ((time - this.view[0]) / (this.view[1] - this.view[0])) * this.canvas.clientWidth; }
  time(x) { return this.view[0] + (x / this.canvas.clientWidth) * (this.view[1] - this.view[0]); }

  setView(start, end) {
    const span = Math.min(Math.max(end - start, NARROWEST_S), this.duration);
    const from = Math.min(Math.max(start, 0), this.duration - span);
    this.view = [from, from + span];
    this.draw();
  }

  zoom(factor, time = this.cursor) {
    const [start, end] = this.view;
    const held = time < start || time > end ? (start + end) / 2 : time;
    this.setView(held - (held - start) * factor, held + (end - held) * factor);
  }

  reveal(time, follow = false) {
    const [start, end] = this.view;
    const span = end - start;
    if (time < start || time > (follow ? start + 0.9 * span : end)) this.setView(time - 0.12 * span, time + 0.88 * span);
  }

  onWheel(event) {
    event.preventDefault();
    const [start, end] = this.view;
    if (event.ctrlKey || event.metaKey) this.zoom(2 ** (event.deltaY / 240), this.time(event.offsetX));
    else {
      const by = ((event.deltaX || event.deltaY) / this.canvas.clientWidth) * (end - start);
      this.setView(start + by, end + by);
    }
  }

  beatAt(x, y) {
    if (this.fixed || y < this.laneTop(this.active) || y > this.laneTop(this.active) + LANE + 4) return null;
    let best = null;
    for (const beat of this.beats) {
      const away = Math.abs(this.x(beat[0]) - x);
      if (away <= GRAB_PX && (!best || away < best.away)) best = { beat, away };
    }
    return best?.beat ?? null;
  }

  onDown(event) {
    this.canvas.focus({ preventScroll: true });
    const beat = this.beatAt(event.offsetX, event.offsetY);
    if (beat) {
      this.canvas.setPointerCapture(event.pointerId);
      this.dragged = { from: beat[0], to: beat[0], x: event.offsetX };
      this.calls.onSelect(beat[0]);
    } else this.calls.onSeek(this.time(event.offsetX));
  }

  onPointer(event) {
    if (this.dragged) {
      const by = event.offsetX - this.dragged.x;
      this.dragged.to = Math.abs(by) < 3 ? this.dragged.from : this.dragged.from + this.time(by) - this.time(0);
      this.calls.onDrag?.(this.dragged.from, this.dragged.to);
      this.draw();
    } else this.canvas.style.cursor = this.beatAt(event.offsetX, event.offsetY) ? "ew-resize" : "crosshair";
  }

  onUp() {
    const moved = this.dragged;
    this.dragged = null;
    if (moved && moved.to !== moved.from) this.calls.onMove(moved.from, moved.to);
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.paint(); });
  }

  paint() {
    const started = performance.now();
    const { canvas, colour } = this;
    const pen = canvas.getContext("2d");
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    pen.clearRect(0, 0, width, height);
    if (!this.info || !width) return;
    const lanes = this.laneTop();
    const rest = height - lanes;
    const wave = [lanes, 0.36 * rest];
    const spectrum = [lanes + 0.36 * rest, (this.info.has_curves === false ? 0.64 : 0.46) * rest];
    const curves = [lanes + 0.82 * rest, 0.18 * rest];
    if (this.loop) {
      pen.fillStyle = colour.accent;
      pen.globalAlpha = 0.1;
      pen.fillRect(this.x(this.loop[0]), 0, this.x(this.loop[1]) - this.x(this.loop[0]), height);
      pen.globalAlpha = 1;
    }
    this.paintSpectrogram(pen, ...spectrum, width);
    this.paintWave(pen, ...wave, width);
    this.paintActivations(pen, ...curves, width);
    this.paintRuler(pen, width, lanes);
    this.paintBeats(pen, spectrum[0], height);
    pen.fillStyle = colour.accent;
    pen.fillRect(Math.round(this.x(this.cursor)) - 0.75, 0, 1.5, height);
    const shown = [...this.view, Math.round((this.cursor / this.duration) * width), this.colour.ink].join();
    if (shown !== this.shown || this.beats !== this.shownBeats) {
      this.shown = shown;
      this.shownBeats = this.beats;
      this.drawOverview();
    }
    this.paintMs = performance.now() - started;
  }

  paintRuler(pen, width, lanes) {
    const span = this.view[1] - this.view[0];
    const step = STEPS.find((one) => (one / span) * width > 78) ?? 1200;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.fillStyle = this.colour.quiet;
    for (let i = Math.ceil(this.view[0] / step); i * step <= this.view[1]; i++) {
      const x = this.x(i * step);
      pen.fillRect(x, RULER - 5, 1, 5);
      pen.fillText(clock(this.origin + i * step, step < 0.01 ? 3 : step < 1 ? 2 : 0), x + 4, RULER / 2);
    }
    pen.fillStyle = this.colour.line;
    pen.fillRect(0, RULER, width, 1);
    pen.fillRect(0, lanes - 1, width, 1);
  }

  // What changes with the zoom alone, in pieces that are kept: while the view moves few of them are new. While the
  // zoom changes none is made, as none would be used again.
  paintPieces(pen, name, top, tall, width, paint) {
    const ratio = devicePixelRatio || 1;
    const scale = Number((width / (this.view[1] - this.view[0])).toPrecision(9)); // pixels a second
    const first = this.view[0] * scale;
    const place = (n) => Math.round((n * PIECE_PX - first) * ratio) / ratio;
    let making = this.scales.get(name) === scale ? NEW_PIECES : 0;
    this.scales.set(name, scale);
    for (let n = Math.floor(first / PIECE_PX); n * PIECE_PX < first + width; n++) {
      const key = `${name} ${n} ${scale} ${tall} ${ratio}`;
      let piece = this.pieces.get(key);
      if (!piece && making-- <= 0) {
        pen.save();
        pen.translate(place(n), top);
        paint(pen, tall, (n * PIECE_PX) / scale, scale);
        pen.restore();
        continue;
      }
      if (!piece) {
        piece = new OffscreenCanvas(Math.ceil(PIECE_PX * ratio), Math.ceil(tall * ratio));
        const own = piece.getContext("2d");
        own.scale(ratio, ratio);
        paint(own, tall, (n * PIECE_PX) / scale, scale);
        this.pieces.set(key, piece);
        if (this.pieces.size > MOST_PIECES) this.pieces.delete(this.pieces.keys().next().value);
      }
      pen.drawImage(piece, place(n), top, piece.width / ratio, piece.height / ratio);
    }
  }

  paintWave(pen, top, tall, width) {
    const [start, end] = this.view;
    const found = end - start < 3 ? this.calls.needSamples(start, end) : null;
    if (found) this.paintSamples(pen, top, tall, width, found);
    else if (this.peaks) this.paintPieces(pen, "wave", top, tall, width, this.paintPeaks.bind(this));
  }

  paintSamples(pen, top, tall, width, found) {
    const [start, end] = this.view;
    const middle = top + tall / 2;
    const loudest = 127 * this.peakScale(tall);
    const perPixel = ((end - start) * found.rate) / width;
    pen.strokeStyle = this.colour.wave;
    pen.lineWidth = 1.2;
    pen.beginPath();
    for (let x = 0; x <= width; x += 0.5) {
      const at = Math.round((this.time(x) - found.start) * found.rate);
      let low = Infinity;
      let high = -Infinity;
      for (let i = at; i <= at + perPixel / 2; i++) { const v = found.samples[i] ?? 0; low = Math.min(low, v); high = Math.max(high, v); }
      pen.lineTo(x, middle - loudest * high);
      if (high > low) pen.lineTo(x, middle - loudest * low);
    }
    pen.stroke();
  }

  peakScale(tall) { return (tall / 2 - 3) / (this.loudest ?? 127); }

  paintPeaks(pen, tall, start, scale) {
    const fps = this.info.peaks_fps;
    const level = Math.min(Math.max(0, Math.floor(Math.log2(fps / scale))), this.peaks.length - 1);
    const pairs = this.peaks[level];
    const rate = fps / 2 ** level;
    const height = this.peakScale(tall);
    pen.fillStyle = this.colour.wave;
    for (let x = 0; x < PIECE_PX; x++) {
      const first = Math.floor((start + x / scale) * rate);
      const last = Math.max(first, Math.floor((start + (x + 1) / scale) * rate) - 1);
      let low = 127;
      let high = -127;
      for (let i = first; i <= last; i++) {
        if (2 * i + 1 >= pairs.length) break;
        low = Math.min(low, pairs[2 * i]);
        high = Math.max(high, pairs[2 * i + 1]);
      }
      if (high >= low) pen.fillRect(x, tall / 2 - high * height, 1, Math.max(1, (high - low) * height));
    }
  }

  paintSpectrogram(pen, top, tall, width) {
    const { tile_s: length, spectrogram_fps: fps, bands } = this.info;
    const shown = this.view[1] - this.view[0];
    if (shown > 900) return; // narrower than a pixel, and many tiles
    for (let n = Math.floor(this.view[0] / length); n * length < this.view[1]; n++) {
      const tile = this.tiles.get(n);
      if (tile === undefined) { this.calls.needTile(n); continue; }
      if (!tile) continue;
      tile.canvas ??= this.tileImage(tile.data, bands);
      const frames = tile.data.length / bands;
      const from = Math.max(0, (this.view[0] - n * length) * fps - 1);
      const to = Math.min(frames, (this.view[1] - n * length) * fps + 1);
      if (to <= from) continue;
      const left = this.x(n * length + from / fps);
      pen.imageSmoothingEnabled = true;
      pen.drawImage(tile.canvas, from, 0, to - from, bands, left, top, this.x(n * length + to / fps) - left, tall);
    }
    pen.fillStyle = this.colour.line;
    pen.fillRect(0, top, width, 1);
  }

  tileImage(data, bands) {
    const frames = data.length / bands;
    const image = new ImageData(frames, bands);
    for (let frame = 0; frame < frames; frame++) {
      for (let band = 0; band < bands; band++) {
        const to = 4 * ((bands - 1 - band) * frames + frame);
        const from = 4 * data[frame * bands + band];
        image.data[to] = this.palette[from];
        image.data[to + 1] = this.palette[from + 1];
        image.data[to + 2] = this.palette[from + 2];
        image.data[to + 3] = 255;
      }
    }
    const canvas = new OffscreenCanvas(frames, bands);
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  paintActivations(pen, top, tall, width) {
    pen.fillStyle = this.colour.line;
    pen.fillRect(0, top, width, 1);
    if (this.activations) this.paintPieces(pen, "activations", top, tall, width, this.paintCurves.bind(this));
  }

  paintCurves(pen, tall, start, scale) {
    const { levels } = this.activations;
    const level = Math.min(Math.max(0, Math.floor(Math.log2(this.activations.fps / scale))), levels.length - 1);
    const data = levels[level];
    const fps = this.activations.fps / 2 ** level;
    [["beat", 0], ["accent", 1]].forEach(([name, which]) => {
      pen.beginPath();
      pen.moveTo(0, tall);
      for (let x = 0; x <= PIECE_PX; x++) {
        const first = Math.max(0, Math.round((start + x / scale) * fps));
        const last = Math.max(first, Math.round((start + (x + 1) / scale) * fps) - 1);
        let value = 0;
        for (let i = first; i <= last; i++) value = Math.max(value, data[2 * i + which] ?? 0);
        pen.lineTo(x, tall - 1 - (value / 255) * (tall - 5));
      }
      pen.lineTo(PIECE_PX, tall);
      pen.globalAlpha = which ? 0.75 : 0.4;
      pen.fillStyle = this.colour[name];
      pen.fill();
      pen.globalAlpha = 1;
    });
  }

  // The beats in the view, and those just beyond it, of beats sorted by time.
  visible(beats) {
    const from = (time) => {
      let [low, high] = [0, beats.length];
      while (low < high) { const middle = (low + high) >> 1; if (beats[middle][0] < time) low = middle + 1; else high = middle; }
      return low;
    };
    return beats.slice(from(this.view[0] - 1), from(this.view[1] + 1));
  }

  // The same, and of beats of one kind that fall on one pixel, the first alone.
  distinct(beats, kind) {
    const width = this.canvas.clientWidth;
    const visible = this.visible(beats);
    if (visible.length < width) return visible;
    const scale = width / (this.view[1] - this.view[0]);
    const [drawn, found] = [{}, []];
    for (let i = 0; i < visible.length; i++) {
      const x = Math.floor((visible[i][0] - this.view[0]) * scale);
      const name = kind(visible[i]);
      if (drawn[name] !== x) { drawn[name] = x; found.push(visible[i]); }
    }
    return found;
  }

  paintBeats(pen, spectrumTop, height) {
    const { colour } = this;
    const kind = (beat) => (beat[2] ? "sure" : beat[1] === 1 ? "accent" : "beat");
    const visible = this.distinct(this.beats, kind);
    const room = visible.length ? this.canvas.clientWidth / visible.length : 99;
    const top = this.laneTop(this.active);
    const y = top + LANE / 2;
    pen.textAlign = "center";
    const faint = Math.min(1, Math.max(0.25, room / 16)); // where beats are dense, the waveform must be seen
    for (const beat of visible) {
      const [time, position, isSure, inTime] = beat;
      const certainty = isSure ? 1 : inTime ?? 0.5;
      const name = kind(beat);
      const wide = isSure ? 2 : 0.6 + 1.7 * certainty;
      const x = this.x(this.dragged?.from === time ? this.dragged.to : time) - wide / 2;
      const from = position === 1 ? top + 4 : y;
      const alpha = (isSure ? 1 : 0.35 + 0.65 * certainty) * (name === "beat" ? faint : 0.5 + 0.5 * faint);
      pen.fillStyle = colour[name];
      pen.globalAlpha = alpha;
      pen.fillRect(x, from, wide, spectrumTop - from);
      if (room < 4) continue; // what lies below must be seen
      pen.globalAlpha = alpha / 2;
      pen.fillRect(x, spectrumTop, wide, height - spectrumTop);
    }
    pen.globalAlpha = 1;
    for (const beat of room > 5 ? visible : []) {
      const [time, position, isSure, inTime, inBar] = beat;
      const x = this.x(this.dragged?.from === time ? this.dragged.to : time);
      const certainty = isSure ? 1 : inBar ?? inTime ?? 0.5;
      const one = position === 1;
      const radius = Math.min(one ? 10 : 8, Math.max(2, room / 2.4));
      pen.strokeStyle = isSure ? colour.sure : one ? colour.accent : colour.beat;
      pen.lineWidth = isSure ? 2 : 0.6 + 1.7 * certainty;
      pen.fillStyle = isSure ? colour.sure : colour.panel;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = isSure ? 1 : 0.35 + 0.65 * certainty;
      pen.stroke();
      if (radius > 6) {
        pen.fillStyle = isSure ? colour.panel : one ? colour.accent : colour.ink;
        pen.font = `${one ? 700 : 500} 11px system-ui, sans-serif`;
        pen.fillText(position || "·", x, y + 0.5);
      }
      pen.globalAlpha = 1;
    }
    const chosen = this.selected === null ? null : visible.find(([time]) => Math.abs(time - this.selected) < 1e-6);
    if (chosen) {
      pen.strokeStyle = colour.ink;
      pen.lineWidth = 1.5;
      pen.strokeRect(this.x(chosen[0]) - 12.5, top + 3, 25, LANE - 6);
    }
    pen.textAlign = "start";
    this.layers.forEach((layer, i) => this.paintLayer(pen, layer, i));
    this.paintPreview(pen, spectrumTop);
  }

  paintPreview(pen, bottom) {
    const top = this.laneTop(this.active);
    pen.fillStyle = pen.strokeStyle = this.colour.quiet;
    pen.lineWidth = 1.5;
    pen.font = "600 11px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.setLineDash([4, 3]);
    pen.beginPath();
    for (const [time, position] of this.visible(this.preview)) {
      pen.moveTo(this.x(time), top + LANE);
      pen.lineTo(this.x(time), bottom - 16);
      if (position) pen.fillText(position, this.x(time), bottom - 8);
    }
    pen.stroke();
    pen.setLineDash([]);
    pen.textAlign = "start";
  }

  // The name of a layer, and its beats where they are not drawn large.
  paintLayer(pen, { beats, name, colour }, layer) {
    const top = this.laneTop(layer);
    if (layer !== this.active) {
      const y = top + THIN_LANE / 2;
      pen.fillStyle = this.colour[colour ?? "quiet"];
      for (const [time, position] of this.distinct(beats, (one) => one[1] === 1)) {
        const x = this.x(time);
        pen.fillRect(x - (position === 1 ? 1.5 : 0.6), top + 3, position === 1 ? 3 : 1.2, THIN_LANE - 6);
        if (position === 1) { pen.beginPath(); pen.arc(x, y, 4.5, 0, 2 * Math.PI); pen.fill(); }
      }
    }
    if (!name) return;
    pen.font = "11px system-ui, sans-serif";
    const y = top + (layer === this.active ? LANE : THIN_LANE) / 2;
    pen.globalAlpha = 0.85;
    pen.fillStyle = this.colour.panel;
    pen.fillRect(3, y - 8, pen.measureText(name).width + 8, 16);
    pen.globalAlpha = 1;
    pen.fillStyle = this.colour[layer === this.active ? "ink" : "quiet"];
    pen.fillText(name, 7, y + 0.5);
  }

  drawOverview() {
    const pen = this.overview.getContext("2d");
    const width = this.overview.clientWidth;
    const height = this.overview.clientHeight;
    pen.clearRect(0, 0, width, height);
    if (!this.peaks || !width) return;
    const content = [width, height, devicePixelRatio, this.colour.ink].join();
    if (this.layerOf !== content || this.layerBeats !== this.beats || this.layerPeaks !== this.peaks) {
      Object.assign(this, { layerOf: content, layerBeats: this.beats, layerPeaks: this.peaks });
      this.layer = this.overviewLayer(width, height);
    }
    pen.drawImage(this.layer, 0, 0, width, height);
    const [start, end] = this.view.map((one) => (one / this.duration) * width);
    pen.strokeStyle = this.colour.ink;
    pen.strokeRect(start + 0.5, 1.5, Math.max(3, end - start - 1), height - 3);
    pen.fillStyle = this.colour.accent;
    pen.fillRect((this.cursor / this.duration) * width, 0, 1.5, height);
  }

  // The whole waveform, and below it where beats are verified and where they are uncertain.
  overviewLayer(width, height) {
    const canvas = new OffscreenCanvas(this.overview.width, this.overview.height);
    const pen = canvas.getContext("2d");
    pen.scale(devicePixelRatio || 1, devicePixelRatio || 1);
    const pairs = this.peaks.at(-1);
    const n = pairs.length / 2;
    pen.fillStyle = this.colour.wave;
    for (let x = 0; x < width; x++) {
      let high = 0;
      for (let i = Math.floor((x * n) / width); i < ((x + 1) * n) / width; i++) high = Math.max(high, pairs[2 * i + 1] ?? 0, -(pairs[2 * i] ?? 0));
      const tall = (high / this.loudest) * (height - 16);
      pen.fillRect(x, 6 + (height - 16 - tall) / 2, 1, Math.max(1, tall));
    }
    for (const [time, , isSure, inTime, inBar] of this.beats) {
      pen.fillStyle = isSure ? this.colour.sure : this.colour.accent;
      pen.globalAlpha = isSure ? 1 : Math.max(0.06, 1 - (inBar ?? inTime ?? 0.5));
      pen.fillRect((time / this.duration) * width - 1, height - 7, 2.5, 5);
    }
    return canvas;
  }
}
