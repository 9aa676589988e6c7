// Playback: blocks of samples and clicks, scheduled by the audio clock, so that a time in the file is a time in the sound.

import { stretch } from "./stretch.js";

const BLOCK_S = 4;
const AHEAD_S = 5; // audio is queued so far ahead
const CLICKS_AHEAD_S = 0.2; // clicks less, so that edits are audible at once
const TICK_MS = 40;
const CLICK_S = 0.03;

let shared; // browsers allow few clocks, and a page may have many players

// The sound of a click: a short tone that begins at its first sample.
export function clickSamples(rate, isDownbeat) {
  const hz = isDownbeat ? 1760 : 1100;
  return Float32Array.from({ length: Math.round(CLICK_S * rate) }, (_, i) =>
    Math.cos((2 * Math.PI * hz * i) / rate) * Math.exp((-6 * i) / (CLICK_S * rate)));
}

export function scheduleClick(context, target, when, isDownbeat) {
  const samples = clickSamples(context.sampleRate, isDownbeat);
  const buffer = context.createBuffer(1, samples.length, context.sampleRate);
  buffer.copyToChannel(samples, 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(target);
  source.start(Math.max(when, 0));
  return source;
}

export class Playback {
  // fetchBlock(start_s, length_s) gives { channels: [Float32Array], rate }; beats() gives [[time, position], ...].
  constructor({ fetchBlock, beats, onEnd, onProblem }) {
    Object.assign(this, { fetchBlock, beats, onEnd, onProblem });
    this.context = null;
    this.duration = 0;
    this.speed = 1;
    this.clickLevel = 0.6;
    this.loop = null; // [start, end]
    this.segments = []; // { from, to, at, speed, clicked }: seconds from..to of the file sound from `at` of the clock on
    this.sources = new Set();
    this.playing = false;
    this.cursor = 0;
  }

  get audio() {
    if (!this.context) {
      this.context = shared ??= new AudioContext({ latencyHint: "interactive" });
      this.music = this.context.createGain();
      this.clicks = this.context.createGain();
      this.music.connect(this.context.destination);
      this.clicks.connect(this.context.destination);
      this.setClickLevel(this.clickLevel);
    }
    return this.context;
  }

  setClickLevel(level) {
    this.clickLevel = level;
    if (this.clicks) this.clicks.gain.value = level * level;
  }

  // The time of the clock of what sounds at a time of the page (`event.timeStamp`).
  clockAt(pageTime = performance.now()) {
    const stamp = this.audio.getOutputTimestamp?.();
    if (stamp && stamp.contextTime > 0 && Math.abs(stamp.performanceTime - pageTime) < 3000) {
      return stamp.contextTime + (pageTime - stamp.performanceTime) / 1000;
    }
    return this.audio.currentTime - (this.audio.outputLatency || 0) + (pageTime - performance.now()) / 1000;
  }

  // The place in the file that sounds at a time of the clock.
  placeAt(clock) {
    let found = null;
    for (const one of this.segments) if (!found || one.at <= clock) found = one;
    if (!found) return this.cursor;
    return Math.min(Math.max(found.from + (clock - found.at) * found.speed, found.from), found.to);
  }

  get place() {
    return this.playing ? this.placeAt(this.clockAt()) : this.cursor;
  }

  async play(from = this.cursor) {
    this.halt();
    await this.audio.resume();
    if (from >= this.duration - 0.02) from = 0;
    if (this.loop && (from < this.loop[0] || from >= this.loop[1])) [from] = this.loop;
    this.playing = true;
    this.startedAt = from;
    this.cursor = from;
    this.head = from; // what is queued next
    this.headAt = null; // and when it sounds
    this.run = Symbol("run");
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.tick();
  }

  pause() {
    const place = this.place;
    this.halt();
    this.cursor = place;
  }

  stop() {
    const back = this.startedAt ?? this.cursor;
    this.halt();
    this.cursor = back;
  }

  seek(place) {
    const going = this.playing;
    this.halt();
    this.cursor = Math.min(Math.max(place, 0), this.duration);
    if (going) this.play(this.cursor);
  }

  restart() {
    if (this.playing) { const place = this.place; const from = this.startedAt; this.play(place).then(() => { this.startedAt = from; }); }
  }

  halt() {
    clearInterval(this.timer);
    this.run = null;
    for (const source of this.sources) { try { source.stop(); } catch { /* it has not started */ } }
    this.sources.clear();
    this.segments = [];
    this.playing = false;
  }

  tick() {
    this.fill();
    this.queueClicks();
    const last = this.segments.at(-1);
    if (last && this.ended && this.clockAt() > last.at + (last.to - last.from) / last.speed + 0.05) {
      this.cursor = this.startedAt;
      this.halt();
      this.onEnd();
    }
  }

  async fill() {
    if (this.filling || !this.playing) return;
    this.filling = true;
    const run = this.run;
    try {
      this.ended = false;
      while (this.playing && run === this.run && (this.headAt === null || this.headAt < this.audio.currentTime + AHEAD_S)) {
        const end = this.loop ? this.loop[1] : this.duration;
        if (this.head >= end - 1e-4) {
          if (!this.loop) { this.ended = true; break; }
          [this.head] = this.loop;
        }
        const from = this.head;
        const to = Math.min(end, from + BLOCK_S);
        const speed = this.speed;
        const block = await this.fetchBlock(from, to - from);
        if (run !== this.run) break;
        const channels = stretch(block.channels, block.rate, speed);
        const buffer = this.audio.createBuffer(channels.length, Math.max(1, channels[0].length), block.rate);
        channels.forEach((samples, channel) => buffer.copyToChannel(samples, channel));
        const at = Math.max(this.headAt ?? 0, this.audio.currentTime + 0.06);
        const source = this.audio.createBufferSource();
        source.buffer = buffer;
        source.connect(this.music);
        source.start(at);
        source.onended = () => this.sources.delete(source);
        this.sources.add(source);
        this.segments.push({ from, to, at, speed, clicked: from });
        if (this.segments.length > 40) this.segments.shift();
        this.head = to;
        this.headAt = at + (to - from) / speed;
      }
    } catch (problem) {
      if (run === this.run) { this.pause(); this.onProblem(problem.message); }
    } finally {
      this.filling = false;
    }
  }

  queueClicks() {
    const until = this.audio.currentTime + CLICKS_AHEAD_S;
    for (const one of this.segments) {
      const reached = Math.min(one.to, one.from + (until - one.at) * one.speed);
      if (reached <= one.clicked) continue;
      for (const [time, position] of this.beats()) {
        if (time < one.clicked || time >= reached) continue;
        const source = scheduleClick(this.audio, this.clicks, one.at + (time - one.from) / one.speed, position === 1);
        this.sources.add(source);
        source.onended = () => this.sources.delete(source);
      }
      one.clicked = reached;
    }
  }

  // The clicks of a stretch as samples, by the functions that play them: for tests.
  async render(from, length, rate = 44100) {
    const offline = new OfflineAudioContext(1, Math.round(length * rate), rate);
    for (const [time, position] of this.beats()) {
      if (time >= from && time < from + length) scheduleClick(offline, offline.destination, time - from, position === 1);
    }
    return (await offline.startRendering()).getChannelData(0);
  }
}
