// The page: it joins the server, the time line, the player and the keys.

import { EditQueue, bytes, read, write } from "./api.js";
import { INTERVAL_S, N_CLICKS, WIDE_MS, measureLag } from "./calibration.js";
import { Playback, scheduleClick } from "./playback.js";
import { gains, mixStems, stem, stemControls } from "./stems.js";
import { choose, current, missing, show, text } from "./strings.js";
import { Timeline, clock } from "./timeline.js";

const DOUBLE_TAP_S = 0.1;
const LEAST = 8; // taps to learn from
const FASTEST = 1.5; // at which the rest is verified
const LEAD_S = 0.5; // played before a beat that is listened to once more
const JUDGED = 8; // beats from which a share says something
const RISE = 0.02;
const SAMPLES_S = 4;
const TILES_AT_ONCE = 2;
const METRES = 12; // beats of a bar that can be chosen
const POLL_MS = 1000;
const POLL_BUSY_MS = 250;
const $ = (id) => document.getElementById(id);

const state = {
  id: null, annotator: localStorage.getItem("levada-annotator") || "me", project: null, beats: [], pending: [],
  undo: 0, redo: 0, revision: 0, lag: 0, device: "default", proposals: [], shown: null, listenedFrom: 0, metre: 0, tapping: false, right: 0, enough: false, accepted: false, job: null, stems: [], separating: null,
};
const query = (more = {}) => ({ id: state.id, annotator: state.annotator, ...more });

// ---- messages

let fading;
function tell(message, good = false) {
  $("message").textContent = message;
  $("message").classList.toggle("good", good);
  clearTimeout(fading);
  if (message) fading = setTimeout(() => tell(""), good ? 4000 : 12000);
}
const guard = (work) => async (...given) => { try { return await work(...given); } catch (problem) { tell(problem.message); return undefined; } };

// ---- the recording

let loadingTiles = 0;
const timeline = new Timeline($("timeline"), $("overview"), {
  onSeek: (time) => { player.seek(time); state.listenedFrom = player.cursor; select(null); timeline.draw(); },
  onSelect: (time) => select(time),
  onDrag: (from, to) => (from === to ? endPreview() : preview("move", { time_s: from, to_s: Math.max(0, to) }, true)),
  onMove: (from, to) => edit("move", { time_s: from, to_s: Math.max(0, to) }, true),
  needTile: guard(async (n) => {
    if (loadingTiles >= TILES_AT_ONCE) return; // then what is still in view asks again
    const { id } = state;
    loadingTiles++;
    timeline.tiles.set(n, null);
    try {
      const { buffer } = await bytes("spectrogram", query({ tile: n }));
      if (id !== state.id) return;
      timeline.tiles.set(n, { data: new Uint8Array(buffer) });
      if (timeline.tiles.size > 40) timeline.tiles.delete(timeline.tiles.keys().next().value);
    } finally {
      loadingTiles--;
      timeline.draw();
    }
  }),
  needSamples: (from, to) => {
    const kept = timeline.samples;
    if (kept && kept.start <= from && kept.end >= to) return kept;
    const start = Math.max(0, Math.min(from, to - SAMPLES_S));
    if (timeline.asked !== start) {
      timeline.asked = start;
      fetchBlock(start, SAMPLES_S).then((block) => {
        timeline.samples = { start, end: start + block.channels[0].length / block.rate + 0.1, rate: block.rate, samples: block.channels[0] };
        timeline.draw();
      }).catch(() => { timeline.asked = null; });
    }
    return null;
  },
});

const blocks = new Map();
function fetchStem(start, length, stem) {
  const key = `${state.id} ${stem ?? ""} ${start.toFixed(4)} ${length.toFixed(4)}`;
  if (!blocks.has(key)) {
    const asked = bytes("samples", query({ start_s: start, length_s: length, stem })).then(({ buffer, rate, channels }) => {
      const mixed = new Int16Array(buffer);
      const each = Array.from({ length: channels }, (_, c) => Float32Array.from({ length: mixed.length / channels }, (_, i) => mixed[i * channels + c] / 32768));
      return { channels: each, rate };
    });
    asked.catch(() => blocks.delete(key));
    blocks.set(key, asked);
    if (blocks.size > 12 + 3 * state.stems.length) blocks.delete(blocks.keys().next().value);
  }
  return blocks.get(key);
}

// The recording, or the sum of its instruments at their levels.
async function fetchBlock(start, length) {
  if (!state.stems.length) return fetchStem(start, length);
  return mixStems(state.stems, (name) => fetchStem(start, length, name), () => fetchStem(start, length));
}

function showStems() {
  $("stems").hidden = !state.stems.length;
  $("separate").textContent = text("separate");
  if (!state.stems.length) return $("stems").replaceChildren();
  const button = document.createElement("button");
  button.textContent = text("writeMix");
  button.onclick = guard(async () => tell(text("saved", { names: (await write("mix", query(), { gains: gains(state.stems), force: true })).written.join(", ") }), true));
  $("stems").replaceChildren(...stemControls(state.stems, text, () => { player.restart(); showStems(); }), button);
}

const setStems = (names) => { state.stems = names.map(stem); showStems(); };

const separate = guard(async () => {
  $("separating").close();
  await write("separate", query(), { model: $("separator").value });
  state.separating = state.id;
  poll();
});

const player = new Playback({
  fetchBlock,
  beats: () => (state.shown && $("audition").checked ? state.shown.beats : state.beats),
  onEnd: () => showTransport(),
  onProblem: (message) => { tell(message); showTransport(); },
});

const queue = new EditQueue({
  onState: (answer) => { if (answer.id === state.id) showState(answer); refresh(); },
  onProblem: (message) => { state.pending = []; tell(message); reload(); },
  onAway: (away) => { if (away) tell(text("away")); else if ($("message").textContent === text("away")) tell(""); },
});

function showState(answer) {
  const learnt = new Set(answer.beats.map(([time]) => time.toFixed(3)));
  state.pending = state.pending.filter((one) => !learnt.has(one[0].toFixed(3)) && queue.waiting.length > 1);
  Object.assign(state, { undo: answer.undo, redo: answer.redo, revision: answer.revision, right: answer.right, enough: answer.enough, saved: answer.beats });
  mergePending();
  if (answer.messages.length) tell(answer.messages.join(" · "));
  if (timeline.selected !== null) {
    const near = nearest(timeline.selected);
    timeline.selected = near && Math.abs(near[0] - timeline.selected) < 0.3 ? near[0] : null;
  }
  showFacts();
}

function mergePending() {
  state.beats = state.pending.length ? [...(state.saved ?? []), ...state.pending].sort((a, b) => a[0] - b[0]) : state.saved ?? [];
  timeline.beats = state.beats;
  timeline.draw();
}

// The part of the waveform that is seen comes first.
async function readPeaks({ id, duration_s: duration, part_s: part, peaks_fps: fps }, at) {
  const parts = Math.max(1, Math.ceil(duration / part));
  for (let i = 0, n = Math.min(Math.floor(at / part), parts - 1); i < parts; i++, n = (n + 1) % parts) {
    const { buffer } = await bytes("peaks", query({ part: n }));
    if (state.id !== id) return;
    timeline.setPeaks(buffer, n * part * fps, Math.floor(duration * fps));
  }
}

const reload = guard(async () => { if (state.id !== null) showState(await read("beats", query())); });

const open = guard(async (id, at = 0) => {
  player.halt();
  player.cursor = 0;
  player.loop = timeline.loop = null;
  Object.assign(state, { id, pending: [], saved: [], beats: [], listenedFrom: at, revision: 0, metre: 0, tapping: false, right: 0, enough: false });
  $("metre").value = "";
  localStorage.setItem("levada-recording", id);
  blocks.clear();
  setStems([]);
  $("title").textContent = id;
  $("facts").textContent = "…";
  for (const one of $("recordings").querySelectorAll("button")) one.setAttribute("aria-current", one.dataset.id === id);
  const info = await read("recording", query());
  if (state.id !== id) return;
  player.duration = info.duration_s;
  timeline.open(info);
  $("timeline").setAttribute("aria-valuemax", info.duration_s.toFixed(3));
  setStems(info.stems);
  if (info.notes.length) tell(info.notes.join(" "));
  player.seek(at);
  timeline.reveal(at);
  const after = (name, use) => bytes(name, query()).then((found) => { if (state.id === id) { use(found); timeline.draw(); } });
  showNext();
  await Promise.all([
    readPeaks(info, at),
    reload(),
    after("activations", ({ buffer, fps }) => timeline.setActivations(buffer, fps)).catch(() => {}),
  ].map((one) => Promise.resolve(one).catch((problem) => tell(problem.message))));
  showProposals();
});

// ---- beats

function nearest(time, beats = state.beats) {
  let best = null;
  for (const one of beats) if (!best || Math.abs(one[0] - time) < Math.abs(best[0] - time)) best = one;
  return best;
}

function select(time) {
  timeline.selected = time;
  if (time !== null) {
    timeline.reveal(time);
    const beat = nearest(time);
    if (!player.playing) { player.cursor = time; state.listenedFrom = Math.min(state.listenedFrom, time); }
    $("announce").textContent = `${clock(time)}, ${text("position")} ${beat?.[1] || "?"}, ${text(beat?.[2] ? "verified" : "notVerified")}`;
  }
  timeline.draw();
}

const here = () => (player.playing || timeline.selected === null ? player.place : timeline.selected);

// What an edit would replace, in grey, while the pointer is on its button, its key is down, or a beat is dragged.
let previewing = null;
async function preview(kind, given, decode = false) {
  const asked = { kind, given, decode };
  const isRunning = previewing !== null;
  previewing = asked;
  if (isRunning || state.id === null) return;
  while (previewing) {
    const one = previewing;
    const id = state.id;
    const answer = await write("preview", query(), { kind: one.kind, arguments: one.given, decode: one.decode, annotator: state.annotator }).catch(() => null);
    if (!previewing || id !== state.id) break;
    const kept = new Set(state.beats.map(([time, position]) => `${time} ${position}`));
    timeline.preview = (answer?.beats ?? []).filter(([time, position]) => !kept.has(`${time} ${position}`));
    timeline.draw();
    if (previewing === one) break;
  }
}

function endPreview() {
  previewing = null;
  timeline.preview = [];
  timeline.draw();
}

function edit(kind, given, decode = false) {
  endPreview();
  const origin = { device: state.device, lag_ms: state.lag };
  return queue.add("edit", query(), { kind, arguments: given, decode, annotator: state.annotator, ...origin });
}

function tap(position = 0, pageTime = performance.now()) {
  if (state.id === null) return;
  const time = player.playing ? player.placeAt(player.clockAt(pageTime) - state.lag / 1000) : here();
  const same = state.pending.find((one) => Math.abs(one[0] - time) <= DOUBLE_TAP_S);
  if (!same) { state.pending.push([time, position, true, null, null]); mergePending(); }
  state.tapping = true;
  edit("tap", { time_s: Math.max(0, time), position });
  $("tap").classList.add("primary");
  setTimeout(() => $("tap").classList.remove("primary"), 90);
}

function nudge(by) {
  const beat = nearest(here());
  if (!beat) return;
  const to = Math.max(0, beat[0] + by);
  timeline.selected = to;
  edit("move", { time_s: beat[0], to_s: to });
}

function step(by) {
  const from = here();
  const found = by > 0 ? state.beats.find((one) => one[0] > from + 1e-4) : state.beats.findLast((one) => one[0] < from - 1e-4);
  if (!found) return;
  if (player.playing) player.pause();
  player.cursor = found[0];
  state.listenedFrom = found[0];
  select(found[0]);
  showTransport();
}

// The beats of a bar count only where a person has chosen them; else they are those of the beats that are there.
const downbeatHere = (time = here()) => ({ time_s: time, ...(state.metre ? { metre: state.metre } : {}) });

function chooseMetre(metre) {
  state.metre = metre;
  const ones = state.beats.filter((one) => one[1] === 1);
  const sure = ones.filter((one) => one[2]);
  const one = nearest(here(), sure.length ? sure : ones) ?? nearest(here());
  if (one) edit("downbeat", downbeatHere(one[0]));
}

const edits = {
  downbeat: () => edit("downbeat", downbeatHere()),
  verify: () => {
    const end = here();
    const beat = nearest(end);
    if (!beat) return;
    const start = Math.min(state.listenedFrom, end);
    const alone = end - start < 0.05 || beat[0] < start;
    edit("verify", alone ? { start_s: Math.max(0, beat[0] - 1e-6), end_s: beat[0] + 1e-6 } : { start_s: Math.max(0, start - 0.02), end_s: end + 0.02 });
    state.listenedFrom = end;
  },
  moveHere: () => { const place = player.place; const beat = nearest(place); if (beat) edit("move", { time_s: beat[0], to_s: place }, true); },
  insert: () => edit("insert", { time_s: here() }),
  delete: () => edit("delete", { time_s: here() }),
  half: () => edit("half", { time_s: here() }),
  double: () => edit("double", { time_s: here() }),
  offbeat: () => edit("offbeat", { time_s: here() }),
};

// ---- playback

function showTransport() {
  $("play").textContent = player.playing ? "❚❚" : "▶";
  $("loop").setAttribute("aria-pressed", Boolean(player.loop));
  timeline.draw();
}

const toggle = guard(async () => {
  if (state.id === null) return;
  if (player.playing) player.pause();
  else {
    state.listenedFrom = Math.min(state.listenedFrom, player.cursor);
    if (Math.abs(state.listenedFrom - player.cursor) > 30) state.listenedFrom = player.cursor;
    await player.play();
  }
  showTransport();
});

function stop() {
  player.stop();
  showTransport();
}

function toggleLoop() {
  if (player.loop) player.loop = null;
  else {
    const place = player.place;
    const ones = state.beats.filter((one) => one[1] === 1).map(([time]) => time);
    const first = ones.findLastIndex((time) => time <= place + 0.01);
    const around = state.beats.map(([time]) => time);
    const at = around.findLastIndex((time) => time <= place + 0.01);
    if (first >= 0 && ones[first + 2] !== undefined) player.loop = [ones[first], ones[first + 2]];
    else player.loop = [around[Math.max(0, at)] ?? place, around[at + 8] ?? Math.min(player.duration, place + 4)];
  }
  timeline.loop = player.loop;
  player.restart();
  showTransport();
}

function setSpeed(speed) {
  player.speed = Math.min(FASTEST, Math.max(0.5, Math.round(speed * 20) / 20));
  $("speed").textContent = player.speed.toFixed(2);
  $("speed-range").value = player.speed;
  player.restart();
}

const LEVELS = [0, 0.3, 0.6, 1];
function cycleClicks() {
  const next = LEVELS.find((one) => one > player.clickLevel + 0.01) ?? 0;
  player.setClickLevel(next);
  $("clicks").value = next;
}

// ---- learning

const learn = guard(async () => {
  await queue.send();
  await write("learn", query(), { annotator: state.annotator });
  state.hidden = null;
  poll();
});

function showProposals() {
  const own = state.proposals.filter((one) => one.recording === state.id && !(state.hidden?.has(one.strategy)));
  if (!own.length) {
    state.shown = null;
    timeline.layers.length = 1;
    $("proposal").hidden = true;
    showNext();
    timeline.draw();
    return;
  }
  state.shown = own.find((one) => one.strategy === state.shown?.strategy) ?? own.at(-1);
  const one = state.shown;
  timeline.layers[1] = { beats: one.beats.filter((beat) => !beat[2]), colour: "other" };
  $("proposal").hidden = false;
  $("proposal").querySelector(".choices").replaceChildren(...own.map((other) => {
    const button = document.createElement("button");
    button.textContent = text(`strategy_${other.strategy}`);
    button.setAttribute("aria-pressed", other === one);
    button.onclick = () => { state.shown = other; showProposals(); };
    return button;
  }));
  const number = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toFixed(digits));
  const percent = (value) => (value === null || value === undefined ? "–" : `${Math.round(100 * value)} %`);
  const rows = [
    ["beats", number(one.before.beats), number(one.after.beats)],
    ["tempo", number(one.before.tempo_bpm, 1), number(one.after.tempo_bpm, 1)],
    ["metre", number(one.before.metre), number(one.after.metre)],
    ["certainty", percent(one.before.position_certainty), percent(one.after.position_certainty)],
  ];
  $("proposal").querySelector("dl").replaceChildren(...rows.flatMap(([name, before, after]) => {
    const cells = [["dt", text(name), ""], ["dd", before, "old"], ["dd", `→ ${after}`, "new"]];
    return cells.map(([kind, value, role]) => { const cell = document.createElement(kind); cell.textContent = value; cell.className = role; return cell; });
  }));
  $("proposal").querySelector(".scores").textContent = one.strategy === "auto" ? one.scores.chosen ?? "" : ""; // which model, and why
  showNext();
  timeline.draw();
}

const accept = guard(async () => {
  if (!state.shown) return;
  const answer = await write("accept", query(), { strategy: state.shown.strategy });
  state.proposals = [];
  state.accepted = true;
  showProposals();
  if (answer.id === state.id) showState(answer);
  tell(text("learnt"), true);
  refresh();
  bytes("activations", query()).then(({ buffer, fps }) => timeline.setActivations(buffer, fps)).catch(() => {});
});

const refuse = guard(async () => {
  state.proposals = [];
  showProposals();
  if (state.job) await write("cancel", {}, { job: state.job });
  await write("refuse");
});

const apply = guard(async () => {
  await write("apply", query(), { annotator: state.annotator });
  poll();
});

const nextUncertain = guard(async () => {
  const { bar } = await write("next", query(), { annotator: state.annotator });
  if (!bar) { tell(text("noBars"), true); return; }
  if (bar.id !== state.id) await open(bar.id, Math.max(0, bar.start_s));
  else player.seek(bar.start_s);
  state.listenedFrom = bar.start_s;
  const span = Math.max(6, 3 * (bar.end_s - bar.start_s));
  timeline.setView(bar.start_s - span / 4, bar.start_s + (3 * span) / 4);
  select(nearest(bar.start_s)?.[0] ?? null);
});

// Verified beats that look wrong, one after the other, for one more listen.
const nextSuspect = guard(async () => {
  await queue.send();
  const { suspect } = await write("suspect", query(), { annotator: state.annotator });
  if (!suspect) { tell(text("noSuspects"), true); return; }
  player.pause();
  const span = Math.max(6, 3 * (suspect.end_s - suspect.start_s));
  timeline.setView(suspect.time_s - span / 2, suspect.time_s + span / 2);
  player.seek(Math.max(0, suspect.start_s - LEAD_S));
  state.listenedFrom = suspect.start_s;
  timeline.selected = nearest(suspect.time_s)?.[0] ?? null;
  tell(text(`suspect_${suspect.reason}`, { left: suspect.left }), true);
  await player.play();
  showTransport();
});

// What nobody has verified, faster: one listen, and V.
const playRest = guard(async () => {
  const open = state.beats.filter((one) => !one[2]);
  const first = open.find((one) => one[0] >= here() - 0.01) ?? open[0];
  if (!first) { tell(text("nothingLeft"), true); return; }
  setSpeed(FASTEST);
  player.seek(Math.max(0, first[0] - LEAD_S));
  state.listenedFrom = first[0];
  timeline.selected = null;
  if (!player.playing) await player.play();
  showTransport();
});

// ---- what is shown around it

// Beats a bar: of the bars that a person has verified, or else of all.
function shownMetre() {
  const longest = (beats) => Math.max(0, ...beats.map((one) => one[1]));
  const sure = state.beats.filter((one) => one[2]);
  return (sure.length >= LEAST && longest(sure)) || longest(state.beats);
}

function showFacts() {
  const sure = state.beats.filter((one) => one[2]).length;
  const gaps = state.beats.slice(1).map((one, i) => one[0] - state.beats[i][0]).sort((a, b) => a - b);
  const bpm = gaps.length ? (60 / gaps[gaps.length >> 1]).toFixed(1) : "–";
  $("facts").textContent = text("facts", { bpm, verified: sure, beats: state.beats.length });
  $("metre").value = state.metre || shownMetre() || "";
  $("undo").disabled = !state.undo;
  $("redo").disabled = !state.redo;
  $("learn").disabled = sure < 4;
  showNext();
}

const labelled = () => state.project.recordings.filter((one) => one.verified >= 4);

// Of what each model placed, how much a person left as it was; the end of learning is where this no longer rises.
function showShares(kept) {
  const judged = kept.filter(([beats]) => beats >= JUDGED);
  const shares = judged.map(([, share]) => `${Math.round(100 * share)} %`).join(" → ");
  const [before, last] = judged.slice(-2).map(([, share]) => share);
  const enough = last !== undefined && judged.length > 2 && last < before + RISE;
  $("shares").textContent = judged.length > 1 ? `${text("keptShares", { shares })}${enough ? `. ${text("keptEnough")}` : ""}` : "";
}

function showNext() {
  const sure = state.beats.filter((one) => one[2]);
  let next = "nextDone";
  if (!state.revision) next = "nextWait";
  else if (state.shown) next = "nextProposal";
  else if (!sure.length) next = "nextCalibrate";
  else if (state.enough) next = "nextEnough";
  else if (state.accepted) next = labelled().length < Math.min(3, state.project.recordings.length) ? "nextMore" : "nextDone";
  else if (!state.tapping) next = "nextCheck";
  else if (sure.length < LEAST) next = "nextTap";
  else if (!sure.some((one) => one[1] === 1)) next = "nextDownbeat";
  else next = "nextLearn";
  const n = next === "nextEnough" ? state.right : sure.length;
  const message = text(next, { n, enough: LEAST, metre: shownMetre(), done: state.analysed ? `${Math.round(100 * state.analysed)} %` : "…" });
  if ($("next").textContent !== message) $("next").textContent = message;
}

const refresh = guard(async () => {
  const project = await read("project", { annotator: state.annotator });
  state.project = project;
  $("recordings").replaceChildren(...project.recordings.map((one) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.dataset.id = one.id;
    button.setAttribute("aria-current", one.id === state.id);
    button.onclick = () => open(one.id);
    const name = document.createElement("b");
    name.textContent = one.id;
    const bars = document.createElement("span");
    bars.className = "bars";
    const certain = document.createElement("i");
    certain.style.width = `${100 * one.position_certainty}%`;
    const sure = document.createElement("i");
    sure.className = "sure";
    sure.style.width = `${one.beats ? (100 * one.verified) / one.beats : 0}%`;
    bars.append(certain, sure);
    const note = document.createElement("small");
    note.textContent = one.problem ?? (one.analysed ? text("verifiedOf", one) : text("stillAnalysing"));
    note.classList.toggle("bad", Boolean(one.problem));
    button.append(name, bars, note);
    item.append(button);
    return item;
  }));
  $("kept").textContent = text("kept", { where: project.is_beside ? project.state.split(/[\\/]/).slice(-2).join("/") : project.state });
  showShares(project.kept);
  $("apply").hidden = !(state.accepted || /^\d+$/.test(project.model)) || project.recordings.length < 2;
  $("apply").textContent = text("apply", { n: project.recordings.length });
  $("annotators").replaceChildren(...project.annotators.map((one) => new Option(one)));
  $("compare").hidden = project.annotators.length < 2;
  $("compare").textContent = text("compare");
  if (!$("separator").options.length) $("separator").replaceChildren(...project.separators.map((one) => new Option(one)));
  if (!$("format").options.length) $("format").replaceChildren(...project.formats.map((one) => new Option(one)));
  const calibration = project.calibrations[state.device];
  state.lag = calibration?.lag_ms ?? 0;
  $("calibrate").textContent = text("calibrate") + (calibration ? ` ${Math.round(state.lag)} ms` : "");
});

let polling;
let errors = 0;
const poll = async () => {
  clearTimeout(polling);
  let busy = false;
  try {
    const status = await read("status", query({ id: state.id ?? "" }));
    const { running } = status;
    busy = status.waiting > 0;
    state.job = running.name === "learn" ? running.number : null;
    const kind = running.name?.split(" ")[0];
    $("job").querySelector("span").textContent = kind ? `${text(`working_${kind}`)} ${running.name.slice(kind.length)}` : "";
    $("progress").hidden = !kind;
    state.analysed = running.name === `analyse ${state.id}` && running.total > 1 ? running.done / running.total : 0;
    if (state.id !== null && !state.revision) showNext();
    if (running.total > 1) $("progress").value = running.done / running.total;
    else $("progress").removeAttribute("value");
    $("cancel").hidden = !(kind && kind !== "analyse");
    $("cancel").onclick = () => write("cancel", {}, { job: running.number });
    if (status.errors.length > errors) tell(status.errors.at(-1).error);
    errors = status.errors.length;
    if (status.proposals.join() !== state.proposals.map((one) => one.number).join()) {
      state.proposals = await read("proposals", query());
      showProposals();
    }
    if (state.id !== null && status.revision && status.revision !== state.revision && !queue.waiting.length) await reload();
    if (state.separating && !busy) {
      if (state.separating === state.id) setStems((await read("recording", query())).stems);
      state.separating = null;
    }
    const sign = `${kind} ${status.waiting}`;
    if (sign !== poll.sign) { poll.sign = sign; await refresh(); }
  } catch { /* the next one may be answered */ }
  polling = setTimeout(poll, busy ? POLL_BUSY_MS : POLL_MS);
};

// ---- calibration

const calibration = { clicks: [], taps: null };

async function calibrate() {
  player.pause();
  showTransport();
  await player.audio.resume();
  $("calibration-result").textContent = "";
  $("calibration").querySelector(".lamps").replaceChildren(...Array.from({ length: N_CLICKS }, () => document.createElement("i")));
  if (!$("calibration").open) $("calibration").showModal();
}

async function runCalibration() {
  const { audio } = player;
  const first = audio.currentTime + 0.6;
  calibration.taps = [];
  calibration.clicks = Array.from({ length: N_CLICKS }, (_, i) => first + i * INTERVAL_S);
  calibration.sources = calibration.clicks.map((when, i) => scheduleClick(audio, audio.destination, when, i % 4 === 0));
  $("calibration-start").disabled = true;
  const lamps = $("calibration").querySelectorAll("i");
  calibration.timer = setInterval(() => {
    const now = player.clockAt();
    lamps.forEach((lamp, i) => lamp.classList.toggle("on", calibration.clicks[i] <= now));
    if (now > calibration.clicks.at(-1) + INTERVAL_S) finishCalibration();
  }, 30);
}

const finishCalibration = guard(async () => {
  const { clicks, taps } = calibration;
  cancelCalibration();
  const found = measureLag(clicks, taps ?? []);
  if (!found) { $("calibration-result").textContent = text("calibratedFew"); return; }
  const values = { lag: found.lag_ms.toFixed(0), spread: found.spread_ms.toFixed(0) };
  $("calibration-result").textContent = text(found.spread_ms > WIDE_MS ? "calibratedWide" : "calibrated", values);
  if (found.spread_ms > 2 * WIDE_MS) return; // that was no tapping along
  state.lag = found.lag_ms;
  await write("calibrate", {}, { device: state.device, lag_ms: found.lag_ms, spread_ms: found.spread_ms });
  await refresh();
});

function cancelCalibration() {
  clearInterval(calibration.timer);
  for (const one of calibration.sources ?? []) { try { one.stop(); } catch { /* it has ended */ } }
  calibration.taps = null;
  $("calibration-start").disabled = false;
}

async function nameDevice() {
  const outputs = (await navigator.mediaDevices?.enumerateDevices().catch(() => []) ?? []).filter((one) => one.kind === "audiooutput");
  const name = outputs.find((one) => one.deviceId === "default") ?? outputs[0];
  const device = name ? name.groupId || name.label || "default" : "default";
  const changed = state.device !== device && state.device !== "default";
  state.device = device;
  if (changed && state.project && !state.project.calibrations[device]) calibrate();
}

// ---- saving

async function save(force = false) {
  $("saving-problem").textContent = "";
  await queue.send();
  const body = { suffix: $("format").value, only_verified: $("only-verified").checked, all: $("save-all").checked, force, annotator: state.annotator };
  try {
    const { written } = await write("save", query(), body);
    $("saving").close();
    tell(text("saved", { names: written.join(", ") }), true);
  } catch (problem) {
    $("saving-problem").textContent = problem.message;
    $("saving-replace").hidden = !/exist/.test(problem.message);
  }
}

function openSaving() {
  $("saving-problem").textContent = "";
  $("saving-replace").hidden = true;
  $("saving").showModal();
  $("saving-go").focus();
}

// ---- two annotators

const compare = guard(async () => {
  const others = state.project.annotators.filter((one) => one !== state.annotator);
  const chosen = others.includes($("other").value) ? $("other").value : others[0];
  $("other").replaceChildren(...others.map((one) => new Option(one, one, false, one === chosen)));
  const found = await read("agreement", { id: state.id, first: state.annotator, second: chosen });
  const ms = (value) => (value === null ? "–" : `${value.toFixed(1)} ms`);
  const rows = [["agreementF", found.f_measure?.toFixed(3) ?? "–", ""], ["asynchrony", ms(found.median_ms), `± ${ms(found.mad_ms)}`], ["positionsSame", found.positions === null ? "–" : `${Math.round(100 * found.positions)} %`, ""]];
  $("agreement").querySelector("dl").replaceChildren(...rows.flatMap((row) => row.map((value, i) => {
    const cell = document.createElement(i ? "dd" : "dt");
    cell.textContent = i ? value : text(value);
    return cell;
  })));
  $("agreement").querySelector("ol").replaceChildren(...found.differences.slice(0, 200).map((one) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.textContent = `${clock(one.time_s)} ${one.positions ? one.positions.join(" / ") : one.only === "first" ? state.annotator : chosen}`;
    button.onclick = () => { $("agreement").close(); player.seek(one.time_s); timeline.reveal(one.time_s); timeline.draw(); };
    const take = document.createElement("button");
    take.textContent = text("takeOther", { name: chosen });
    take.onclick = async () => {
      if (one.only === "first") await edit("delete", { time_s: one.time_s });
      else await edit("tap", { time_s: one.time_s, position: one.positions?.[1] ?? one.position });
      compare();
    };
    item.append(button, " ", take);
    return item;
  }));
  if (!$("agreement").open) $("agreement").showModal();
});

// ---- keys

const KEYS = [
  ["Space Esc", "key_space"], ["T 1–9", "key_tap"], ["← →", "key_arrows"], ["Alt← Alt→", "key_nudge"], ["M", "key_move"], ["Del I", "key_delete"],
  ["O", "key_offbeat"], ["H D", "key_half"], ["B", "key_downbeat"], ["V", "key_verify"], ["L", "key_loop"], ["[ ]", "key_speed"],
  ["C", "key_clicks"], ["+ −", "key_zoom"], ["N", "uncertain"], ["R", "key_again"], ["F", "key_rest"], ["Enter", "key_learn"], ["Ctrl+Z Ctrl+Y Ctrl+S", "key_undo"],
];

function openKeys() {
  $("keys").querySelector("tbody").replaceChildren(...KEYS.map(([keys, name]) => {
    const row = document.createElement("tr");
    const left = document.createElement("td");
    for (const one of keys.split(" ")) { const key = document.createElement("kbd"); key.textContent = one; left.append(key, " "); }
    const right = document.createElement("td");
    right.textContent = text(name);
    row.append(left, right);
    return row;
  }));
  $("keys").showModal();
}

const undo = () => queue.add("undo", query(), { annotator: state.annotator });
const redo = () => queue.add("redo", query(), { annotator: state.annotator });

const actions = {
  " ": () => toggle(), Escape: () => (state.shown && !player.playing ? refuse() : stop()), Enter: () => (state.shown ? accept() : learn()),
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), m: edits.moveHere, Delete: edits.delete, Backspace: edits.delete, i: edits.insert, o: edits.offbeat,
  h: edits.half, d: edits.double, b: edits.downbeat, v: edits.verify, l: toggleLoop, "[": () => setSpeed(player.speed - 0.05), "]": () => setSpeed(player.speed + 0.05),
  c: cycleClicks, n: () => nextUncertain(), r: () => nextSuspect(), f: () => playRest(), "+": () => timeline.zoom(0.7), "=": () => timeline.zoom(0.7), "-": () => timeline.zoom(1 / 0.7), "?": openKeys,
};

const PREVIEWED = { o: "offbeat", h: "half", d: "double", b: "downbeat" }; // they act when the key is let go
let held = null;

addEventListener("keydown", (event) => {
  const target = event.target;
  if (calibration.taps && (event.key.toLowerCase() === "t" || event.key === " ")) {
    event.preventDefault();
    if (!event.repeat) calibration.taps.push(player.clockAt(event.timeStamp));
    return;
  }
  if (document.querySelector("dialog[open]") || target.matches("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) {
    const done = { z: event.shiftKey ? redo : undo, y: redo, s: openSaving }[key];
    if (done) { event.preventDefault(); done(); }
    return;
  }
  if (event.altKey) {
    if (key === "ArrowLeft" || key === "ArrowRight") {
      event.preventDefault();
      nudge((key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 0.001 : 0.005));
    }
    return;
  }
  if ((key === "Enter" || key === " ") && target.matches("button, a, input[type=checkbox]")) return; // they do what they say
  if (target.matches("input[type=range]") && key.startsWith("Arrow")) return;
  if (key === "t" || (key >= "1" && key <= "9")) {
    event.preventDefault();
    if (!event.repeat) tap(key === "t" ? 0 : Number(key), event.timeStamp);
  } else if (PREVIEWED[key]) {
    event.preventDefault();
    if (!event.repeat) { held = key; preview(PREVIEWED[key], key === "b" ? downbeatHere() : { time_s: here() }); }
  } else if (actions[key]) {
    event.preventDefault();
    if (key === "Escape" && held) { held = null; endPreview(); } else actions[key]();
  }
});

addEventListener("keyup", (event) => {
  if (held !== event.key.toLowerCase()) return;
  held = null;
  actions[event.key.toLowerCase()]();
});
addEventListener("blur", () => { held = null; endPreview(); });

// ---- buttons

const pressed = (id, work) => $(id).addEventListener("click", (event) => { work(event); if (event.detail) $("timeline").focus({ preventScroll: true }); });
pressed("play", toggle);
pressed("loop", toggleLoop);
pressed("undo", undo);
pressed("redo", redo);
pressed("uncertain", nextUncertain);
pressed("again", nextSuspect);
pressed("rest", playRest);
pressed("apply", apply);
pressed("accept", accept);
pressed("refuse", refuse);
pressed("learn", learn);
$("tap").addEventListener("pointerdown", (event) => tap(0, event.timeStamp));
$("tap").addEventListener("click", (event) => { if (!event.detail) tap(); });
$("compare").addEventListener("click", compare);
$("other").addEventListener("change", compare);
$("save").addEventListener("click", openSaving);
$("saving-go").addEventListener("click", () => save());
$("saving-replace").addEventListener("click", () => save(true));
$("saving-cancel").addEventListener("click", () => $("saving").close());
$("calibrate").addEventListener("click", calibrate);
$("calibration-start").addEventListener("click", runCalibration);
$("calibration-cancel").addEventListener("click", () => { cancelCalibration(); $("calibration").close(); });
$("calibration").addEventListener("close", cancelCalibration);
$("separate").addEventListener("click", () => $("separating").showModal());
$("separating-cancel").addEventListener("click", () => $("separating").close());
$("separating-go").addEventListener("click", separate);
$("help").addEventListener("click", openKeys);
$("speed-range").addEventListener("input", (event) => setSpeed(Number(event.target.value)));
$("clicks").addEventListener("input", (event) => player.setClickLevel(Number(event.target.value)));
for (const button of document.querySelectorAll("[data-edit]")) pressed2(button);
function pressed2(button) {
  button.addEventListener("click", () => { edits[button.dataset.edit](); $("timeline").focus({ preventScroll: true }); });
  if (!Object.values(PREVIEWED).includes(button.dataset.edit)) return;
  for (const begin of ["pointerenter", "focus"]) button.addEventListener(begin, () => preview(button.dataset.edit, button.dataset.edit === "downbeat" ? downbeatHere() : { time_s: here() }));
  for (const end of ["pointerleave", "blur"]) button.addEventListener(end, endPreview);
}
$("metre").replaceChildren(...Array.from({ length: METRES }, (_, i) => new Option(i + 1)));
$("metre").addEventListener("change", () => { chooseMetre(Number($("metre").value)); $("timeline").focus({ preventScroll: true }); });
$("annotator").value = state.annotator;
$("annotator").addEventListener("change", async () => {
  if (!$("annotator").checkValidity() || !$("annotator").value) { $("annotator").value = state.annotator; return; }
  state.annotator = $("annotator").value;
  localStorage.setItem("levada-annotator", state.annotator);
  await refresh();
  if (state.id !== null) await open(state.id, player.cursor);
});
$("language").value = current();
$("language").addEventListener("change", () => { choose($("language").value); refresh(); showFacts(); showProposals(); showStems(); });
const setTheme = (name) => { document.documentElement.dataset.theme = name; timeline.colours(); };
$("theme").addEventListener("click", () => {
  const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("levada-theme", name);
  setTheme(name);
});
navigator.mediaDevices?.addEventListener?.("devicechange", nameDevice);

function frame() {
  if (player.playing) {
    timeline.cursor = player.place;
    if (!timeline.dragged) timeline.reveal(timeline.cursor, true);
    timeline.draw();
  } else timeline.cursor = player.cursor;
  const shown = clock(timeline.cursor);
  if ($("clock").textContent !== shown) {
    $("clock").textContent = shown;
    $("timeline").setAttribute("aria-valuenow", timeline.cursor.toFixed(3));
    $("timeline").setAttribute("aria-valuetext", shown);
    timeline.draw();
  }
  requestAnimationFrame(frame);
}

show();
setTheme(localStorage.getItem("levada-theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
await nameDevice();
await refresh();
window.levada = { state, player, timeline, queue, measureLag, missing, tap, open, nearest };
frame();
poll();
const last = localStorage.getItem("levada-recording");
const ids = state.project?.recordings.map((one) => one.id) ?? [];
if (ids.length) open(ids.includes(last) ? last : ids[0]);
