// Instruments of a recording: solo, mute and level of each, and their sum.

export const stem = (name) => ({ name, solo: false, mute: false, level: 1 });

// The level that each instrument is played with.
export function gains(stems) {
  const solo = stems.some((one) => one.solo);
  return Object.fromEntries(stems.map((one) => [one.name, one.mute || (solo && !one.solo) ? 0 : one.level]));
}

// fetchStem(name) gives { channels, rate }; fetchAny() gives one of the same length, for silence.
export async function mixStems(stems, fetchStem, fetchAny) {
  const played = Object.entries(gains(stems)).filter(([, gain]) => gain > 0);
  const found = await Promise.all(played.map(([name]) => fetchStem(name)));
  const { channels: first, rate } = found[0] ?? (await fetchAny());
  const channels = first.map((one) => new Float32Array(one.length));
  found.forEach((block, i) => block.channels.forEach((samples, c) => { for (let n = 0; n < samples.length; n++) channels[c][n] += played[i][1] * samples[n]; }));
  return { channels, rate };
}

// A group of buttons and a level for each instrument; onChange() is called after each change.
export function stemControls(stems, text, onChange) {
  return stems.map((one) => {
    const item = document.createElement("span");
    const level = document.createElement("input");
    Object.assign(level, { type: "range", min: 0, max: 1.5, step: 0.05, value: one.level });
    level.setAttribute("aria-label", text("level", one));
    level.onchange = () => { one.level = Number(level.value); onChange(); };
    const buttons = ["solo", "mute"].map((what) => {
      const button = document.createElement("button");
      button.textContent = what[0].toUpperCase();
      button.title = text(what, one);
      button.setAttribute("aria-label", button.title);
      button.setAttribute("aria-pressed", one[what]);
      button.onclick = () => { one[what] = !one[what]; onChange(); };
      return button;
    });
    item.append(one.name, ...buttons, level);
    return item;
  });
}
