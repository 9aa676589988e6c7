// Slower playback at the same pitch: overlap-add of windows that are shifted to where they fit best (WSOLA).
// W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity", ICASSP 1993.
// Windows are short, so that drums keep their attack; the place of a sample is off by no more than the search.

const WINDOW_S = 0.04;
const SEARCH_S = 0.008;

// channels: arrays of samples; speed below 1 is slower. Returns arrays 1 / speed times as long.
export function stretch(channels, rate, speed) {
  const length = channels[0].length;
  if (speed === 1 || length < 2 * WINDOW_S * rate) return channels;
  const hop = Math.round((WINDOW_S * rate) / 2);
  const size = 2 * hop;
  const search = Math.round(SEARCH_S * rate);
  const total = Math.round(length / speed);
  const fade = Float32Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / hop));
  const out = channels.map(() => new Float32Array(total));
  const guide = channels[0];
  let expected = 0; // where the window before would go on
  for (let to = -hop; to < total; to += hop) {
    const centre = Math.round(to * speed);
    let from = centre;
    if (to >= 0) {
      let best = -Infinity;
      for (let shift = -search; shift <= search; shift += 2) {
        const start = centre + shift;
        let sum = 0;
        for (let i = 0; i < size; i += 4) sum += (guide[start + i] || 0) * (guide[expected + i] || 0);
        if (sum > best) { best = sum; from = start; }
      }
    }
    for (let c = 0; c < channels.length; c++) {
      const source = channels[c];
      const target = out[c];
      for (let i = Math.max(0, -to); i < size && to + i < total; i++) target[to + i] += fade[i] * (source[from + i] || 0);
    }
    expected = from + hop;
  }
  return out;
}
