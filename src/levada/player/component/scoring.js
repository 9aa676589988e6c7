// Taps of a person against labelled beats.

export const TOLERANCE_S = 0.07;

// taps, labels: ascending seconds. Labels count from the first tap to the last one, as nobody taps from the very start.
// Each label takes one tap at most; walking along both in order finds as many pairs as there can be.
// Returns { taps, labels, f, mean_ms, spread_ms }, or null without taps.
export function scoreTaps(taps, labels) {
  if (!taps.length) return null;
  const played = labels.filter((one) => one >= taps[0] - TOLERANCE_S && one <= taps.at(-1) + TOLERANCE_S);
  const offsets = [];
  for (let i = 0, j = 0; i < taps.length && j < played.length;) {
    const by = taps[i] - played[j];
    if (Math.abs(by) <= TOLERANCE_S) { offsets.push(1000 * by); i++; j++; } else if (by < 0) i++; else j++;
  }
  const mean = offsets.reduce((sum, one) => sum + one, 0) / offsets.length;
  const spread = Math.sqrt(offsets.reduce((sum, one) => sum + (one - mean) ** 2, 0) / offsets.length);
  return {
    taps: taps.length, labels: played.length, f: (2 * offsets.length) / (taps.length + played.length),
    mean_ms: offsets.length ? mean : null, spread_ms: offsets.length ? spread : null,
  };
}
