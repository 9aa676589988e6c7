// The lag of taps: of output, of a person and of input together, measured on clicks and never on music.

export const N_CLICKS = 16;
export const INTERVAL_S = 0.5;
export const WIDE_MS = 30;
const SKIPPED = 3; // clicks before a person is in time
const LEAST_TAPS = 8;

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// clicks, taps: seconds of one clock. Returns { lag_ms, spread_ms, taps }, or null with too few taps.
export function measureLag(clicks, taps) {
  const lags = [];
  for (const tap of taps) {
    // a tap belongs to the last click before it, or to one shortly after it: lags of Bluetooth reach 300 ms
    const owner = clicks.filter((click) => click - 0.4 * INTERVAL_S <= tap).at(-1);
    if (owner === undefined || clicks.indexOf(owner) < SKIPPED) continue;
    lags.push(1000 * (tap - owner));
  }
  if (lags.length < LEAST_TAPS) return null;
  const lag = median(lags);
  const spread = 1.4826 * median(lags.map((one) => Math.abs(one - lag)));
  return { lag_ms: lag, spread_ms: spread, taps: lags.length };
}
