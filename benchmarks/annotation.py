"""How much work it is to annotate a recording in the studio, by a simulated annotator.

    python benchmarks/annotation.py                      # minutes; prints the table of `benchmarks/RESULTS.md`
    python benchmarks/annotation.py --seeds 1 --quick    # one tradition
    python benchmarks/annotation.py --real               # up to four recordings of each real folder, without auto
    python benchmarks/annotation.py --folders            # folders: what some tapped recordings give to the others

The annotator taps with a spread of 20 ms, as after calibration, which costs 20 s. A tap costs the time until the next
beat, a key .3 s, a drag 1.3 s, and listening what it lasts; one wrong beat of ten is overlooked. Bars are reviewed
until beat F and CMLt are above .95 and downbeat F is above .9, the least certain first, or at random. What was reviewed
counts as verified. Scores on others are those of two more recordings, on which nothing was done.

Of a folder, three recordings are tapped (16 beats), a downbeat is tapped in each of three more, the rest is left alone,
and the model that was learnt is applied to all of them, as the studio does it. Folders are rendered ones, and the real
recordings of `../shared/real`, which are read in place.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

import levada
from levada.beat_tracking.metrics import beat_scores
from levada.data import Track
from levada.io import audio
from levada.io.beats import Beats, distances
from levada.studio import decoding
from levada.studio.annotation import (
    Annotation,
    Mark,
    beats_a_bar,
    edit,
    of_beats,
    to_beats,
    uncertain_bars,
    verified,
)
from levada.studio.checks import LEAST_VERIFIED, bars_to_check, suspects
from levada.studio.journal import LEAST_RIGHT

TRADITIONS = ("candombe", "samba-enredo", "son")
RECORDINGS, OTHERS, LENGTH_S = 2, 2, 50.0
FIRST_SEED = 400
TAPS = 16
JITTER_S, OVERLOOKED = 0.02, 0.1
CALIBRATION_S, KEY_S, DRAG_S, PROPOSAL_S = 20.0, 0.3, 1.3, 8.0
ENOUGH, ENOUGH_DOWNBEATS = 0.95, 0.9
NEAR_S = 0.07
TAPPED, ONE_DOWNBEAT, FOLDER = 3, 3, 9
MOST_REAL = 4
"""Recordings of a real folder that are annotated one by one."""
REAL = Path(__file__).resolve().parents[2] / "shared" / "real"
REAL_FOLDERS = ("candombe", "brid", "choro", "pop", "mdb_drums/drums_only")
SCORES = ("beat_f", "beat_cmlt", "downbeat_f")
METHODS = ("taps", "base", "hints", "bayes", "auto", "guided")
FIRST_TAPS, FEW_EDITS = 8, 3
"""Taps from which patterns are learnt, and corrections of the first beats that are less work than calibrating."""
FAILED = 2
"""Bars with several corrections, after learning, from which the rest is tapped."""
WAIT_S, LEAD_S = 2.0, 0.5
"""Until patterns are learnt, and played before a beat that is listened to once more."""
KEYS = ((), ("offbeat",), ("double",), ("half",), ("half", "offbeat"))


@dataclass(frozen=True)
class Work:
    """What a person has done, and the beats that came of it."""

    annotation: Annotation
    actions: int = 0
    seconds: float = 0.0
    scores: dict[str, float] | None = None
    wrong_verified: float = 0.0


class Annotator:
    """A person who knows the right beats."""

    def __init__(self, truth: Beats, seed: int, length_s: float = LENGTH_S) -> None:
        self.truth, self.rng, self.length_s = truth, np.random.default_rng(seed), length_s

    def tap(self, beats: Beats) -> Annotation:
        """Tap some beats, with their positions."""
        times = np.sort(beats.times_s + self.rng.normal(0, JITTER_S, len(beats)))
        return of_beats(Beats(times.clip(0), beats.positions), is_verified=True)

    def scores(self, annotation: Annotation) -> dict[str, float]:
        """Score beats against the right ones."""
        return beat_scores(self.truth, to_beats(annotation), trim_s=0)

    def whole_stretches(self, work: Work) -> Work:
        """Press half, double or half a beat later at the first beat, where that is better."""
        best = work
        for kinds in KEYS[1:]:
            changed = _pressed(work.annotation, kinds)
            if self.scores(changed)["beat_f"] > self.scores(best.annotation)["beat_f"] + 0.2:
                best = replace(work, annotation=changed, actions=work.actions + len(kinds))
        return replace(best, seconds=best.seconds + KEY_S * (best.actions - work.actions))

    def correct(self, work: Work, start_s: float, end_s: float) -> Work:
        """Listen to a stretch, correct what is noticed, and verify it."""
        marks, seconds, actions = [*work.annotation], work.seconds + end_s - start_s + KEY_S, work.actions + 1
        inside = [mark for mark in marks if start_s <= mark.time_s < end_s and not mark.verified]
        right = self.truth.between(start_s - NEAR_S, end_s - NEAR_S)  # the first mark may be a little late
        left = [*right]
        for mark in inside:
            near = min(left, key=lambda beat: abs(beat[0] - mark.time_s), default=None)
            notices = self.rng.random() >= OVERLOOKED
            if near is not None and abs(near[0] - mark.time_s) <= NEAR_S:
                left.remove(near)
            elif near is not None and notices and abs(near[0] - mark.time_s) < 0.3:
                left.remove(near)
                marks[marks.index(mark)] = Mark(float(near[0] + self.rng.normal(0, 0.01)), near[1], True)
                actions, seconds = actions + 1, seconds + DRAG_S
            elif notices:
                marks.remove(mark)
                actions, seconds = actions + 1, seconds + KEY_S
        verified = [mark for mark in marks if mark.verified]
        for time_s, position in left:
            if any(abs(mark.time_s - time_s) <= NEAR_S for mark in verified) or self.rng.random() < OVERLOOKED:
                continue
            marks.append(Mark(max(0.0, float(time_s + self.rng.normal(0, 0.01))), position, True))
            actions, seconds = actions + 1, seconds + KEY_S
        marks.sort()
        wrong = [(m, b[1]) for m in marks for b in right if abs(m.time_s - b[0]) <= NEAR_S and m.position != b[1]]
        if wrong and self.rng.random() >= OVERLOOKED:  # B on the first beat of the bar, or on each wrong one its number
            ones = [mark for mark, position in wrong if position == 1 and not mark.verified]
            if ones:
                marks = [*edit(tuple(marks), "downbeat", {"time_s": ones[0].time_s})]
            for mark, position in wrong:
                if mark in marks:
                    marks[marks.index(mark)] = mark._replace(position=position)
            actions, seconds = actions + (1 if ones else len(wrong)), seconds + KEY_S * (1 if ones else len(wrong))
        marks = [m._replace(verified=True) if start_s <= m.time_s < end_s else m for m in marks]
        return replace(work, annotation=tuple(sorted(marks)), actions=actions, seconds=seconds)

    def review(self, work: Work, *, at_random: bool = False) -> Work:
        """Correct bars until the beats are good enough."""
        bars = [(bar.start_s, bar.end_s) for bar in uncertain_bars(work.annotation)] or [(0.0, self.length_s)]
        if at_random:
            bars = [bars[i] for i in self.rng.permutation(len(bars))]
        bars.append((0.0, self.length_s))
        for start_s, end_s in bars:
            scores = self.scores(work.annotation)
            if min(scores["beat_f"], scores["beat_cmlt"]) > ENOUGH and scores["downbeat_f"] > ENOUGH_DOWNBEATS:
                break
            work = self.correct(work, start_s, end_s + NEAR_S if end_s == self.length_s else end_s)
        return self.scored(work)

    def scored(self, work: Work) -> Work:
        """Score the beats, and those that are marked verified."""
        times = np.array([mark.time_s for mark in work.annotation if mark.verified])
        far = distances(times, self.truth.times_s) > NEAR_S
        return replace(work, scores=self.scores(work.annotation), wrong_verified=float(far.mean()) if len(far) else 0.0)

    def begin(self, work: Work, prepared: decoding.Prepared) -> Work:
        """Listen to the first beats; press the keys that make them right and correct the rest, or calibrate and tap."""
        first = self.truth.times_s[: FIRST_TAPS + 1]
        start_s, end_s = max(0.0, float(first[0]) - NEAR_S), float(first[-1]) - NEAR_S
        work = replace(work, seconds=work.seconds + end_s - start_s)
        tried = [self._counted(_pressed(work.annotation, kinds), len(kinds), start_s, end_s) for kinds in KEYS]
        wrong, keys, annotation = min(tried, key=lambda one: (one[0] + one[1], one[1]))
        if wrong <= FEW_EDITS:
            work = replace(
                work, annotation=annotation, actions=work.actions + keys, seconds=work.seconds + KEY_S * keys
            )
            if not wrong + keys:  # what was listened to is verified
                work = replace(work, seconds=work.seconds - (end_s - start_s))
            return self.correct(work, start_s, end_s)
        taps = self.tap(self.truth.between(start_s, end_s))
        annotation = decoding.analyse(prepared, taps)[0]
        seconds = work.seconds + CALIBRATION_S + end_s - start_s
        return replace(work, annotation=annotation, actions=work.actions + len(taps), seconds=seconds)

    def _counted(self, annotation: Annotation, keys: int, start_s: float, end_s: float) -> tuple[int, int, Annotation]:
        """Say where the bar begins, if most positions are wrong; returns what is wrong then, keys, and the beats."""
        if self._wrong_positions(annotation, start_s, end_s) > 1:
            ones = self.truth.downbeats_s
            one_s = float(ones[min(int(np.searchsorted(ones, start_s)), len(ones) - 1)])
            stated = {"metre": self.truth.metre} if self.truth.metre != beats_a_bar(annotation) else {}
            counted = edit(annotation, "downbeat", {"time_s": annotation[0].time_s, **stated})
            near = min(counted, key=lambda mark: abs(mark.time_s - one_s))
            annotation = edit(counted, "downbeat", {"time_s": near.time_s, **stated})
            keys += 1 + len(stated)
        inside = np.array([mark.time_s for mark in annotation if start_s <= mark.time_s < end_s])
        right = self.truth.between(start_s, end_s).times_s
        hits = int((np.abs(right[:, None] - inside).min(axis=1, initial=np.inf) <= NEAR_S).sum())
        wrong = max(len(right), len(inside)) - hits
        return wrong + self._wrong_positions(annotation, start_s, end_s), keys, annotation

    def _wrong_positions(self, annotation: Annotation, start_s: float, end_s: float) -> int:
        inside = self.truth.between(start_s, end_s)
        return sum(abs(m.time_s - b[0]) <= NEAR_S and m.position != b[1] for m in annotation for b in inside)

    def check(self, work: Work, learn: Callable[[Work], Work]) -> Work:
        """Listen to the least certain bars until enough are right, and learn from those that were not.

        Where that does not help the rest is tapped.
        """
        visited, right, wrong, learnt, failed, other = set[float](), 0, 0, 0, 0, None
        if work.actions >= FIRST_TAPS:  # the beats of the base are wrong
            work, learnt = learn(work), 1
        elif len(verified(work.annotation)) >= LEAST_VERIFIED:
            other = to_beats(learn(work).annotation)  # bars that patterns have otherwise come first
        while right < max(LEAST_RIGHT, wrong + 1):
            bars = [bar for bar in bars_to_check(work.annotation, other) if round(bar.start_s, 1) not in visited]
            if not bars:
                break
            visited.add(round(bars[0].start_s, 1))
            before = work.actions
            work = self.correct(work, bars[0].start_s, bars[0].end_s)
            corrections = work.actions - before - 1
            right, wrong = (0, wrong + 1) if corrections else (right + 1, wrong)
            failed += learnt > 0 and corrections > 1
            if failed >= FAILED:
                return self.tap_the_rest(work)
            if corrections > (1 if learnt else 0):
                work, learnt, other = learn(work), learnt + 1, None
        return work

    def tap_the_rest(self, work: Work) -> Work:
        """Tap what nobody has verified."""
        sure = [mark.time_s for mark in verified(work.annotation)]
        far = np.abs(self.truth.times_s[:, None] - np.array(sure)).min(axis=1, initial=np.inf) > NEAR_S
        taps = self.tap(Beats(self.truth.times_s[far], self.truth.positions[far]))
        usual_s = float(np.median(self.truth.intervals_s))
        annotation = tuple(sorted([*verified(work.annotation), *taps]))
        seconds = work.seconds + CALIBRATION_S + usual_s * len(taps)
        return replace(work, annotation=annotation, actions=work.actions + len(taps), seconds=seconds)

    def look_again(self, work: Work, found: Beats) -> Work:
        """Listen once more to verified beats that look wrong, and correct what is noticed."""
        marks = [*work.annotation]
        spans = list[list[float]]()
        for suspect in suspects(work.annotation, found):
            if spans and suspect.start_s <= spans[-1][1]:
                spans[-1][1] = suspect.end_s
            else:
                spans.append([suspect.start_s, suspect.end_s])
        for start_s, end_s in spans:
            end_s += 2 * NEAR_S
            again = [mark._replace(verified=mark.verified and not start_s <= mark.time_s < end_s) for mark in marks]
            seconds = work.seconds + LEAD_S
            work = self.correct(replace(work, annotation=tuple(again), seconds=seconds), start_s, end_s)
            marks = [*work.annotation]
        return work


def annotate(
    method: str, track: Track, truth: Beats, base: levada.BeatTracker, others: Iterable[tuple[Track, Beats]], seed: int
) -> Iterator[tuple[str, Work, dict[str, float]]]:
    """Annotate a recording by one method; yields its name, the work, and scores on other recordings."""
    length_s = track.duration_s
    annotator = Annotator(truth, seed, length_s)
    taps = annotator.tap(Beats(truth.times_s[4 : 4 + TAPS], truth.positions[4 : 4 + TAPS]))
    tapping_s = float(truth.times_s[4 + TAPS] - truth.times_s[4])
    if method == "taps":
        every = annotator.tap(truth)
        yield method, replace(annotator.review(Work(every)), actions=len(every), seconds=CALIBRATION_S + length_s), {}
        return
    prepared = _prepared_once(base, track.audio, length_s)
    if method == "guided":
        model = [prepared]

        def learn(work: Work) -> Work:
            labels = decoding.labelled_spans({track.id: (track, work.annotation)})
            learnt = decoding.learn(base, labels, "bayes", seed=seed)
            model.append(decoding.prepare(learnt, track.audio, duration_s=length_s))
            annotation = decoding.analyse(model[-1], work.annotation)[0]
            return replace(
                work, annotation=annotation, actions=work.actions + 2, seconds=work.seconds + 2 * KEY_S + WAIT_S
            )

        work = annotator.begin(Work(decoding.analyse(prepared, ())[0]), prepared)
        work = annotator.check(work, learn)
        work = annotator.look_again(work, model[-1].analyse()[0].beats)
        yield method, annotator.scored(work), _on_others(model[-1].tracker, others)
        return
    if method == "base":
        start = annotator.whole_stretches(Work(decoding.analyse(prepared, ())[0]))
        yield "base, by uncertainty", annotator.review(start), {}
        yield "base, at random", annotator.review(start, at_random=True), {}
        return
    tracker = base
    tapped = Work((), TAPS, CALIBRATION_S + tapping_s)
    if method != "hints":
        tracker = decoding.learn(base, decoding.labelled_spans({track.id: (track, taps)}), method, seed=seed)
        prepared = decoding.prepare(tracker, track.audio, duration_s=length_s)
        tapped = replace(tapped, actions=TAPS + 2, seconds=tapped.seconds + 2 * KEY_S + PROPOSAL_S)
    start = replace(tapped, annotation=decoding.analyse(prepared, taps)[0])
    yield method, annotator.review(start), _on_others(tracker, others)


@lru_cache(maxsize=4)
def _prepared_once(tracker: levada.BeatTracker, path: Path, duration_s: float) -> decoding.Prepared:
    return decoding.prepare(tracker, path, duration_s=duration_s)


def _pressed(annotation: Annotation, kinds: Iterable[str]) -> Annotation:
    """Press keys at the first beat."""
    for kind in kinds:
        annotation = edit(annotation, kind, {"time_s": annotation[0].time_s}) if annotation else annotation
    return annotation


def _on_others(tracker: levada.BeatTracker, others: Iterable[tuple[Track, Beats]]) -> dict[str, float]:
    """Score a tracker on recordings on which nothing was done."""
    found = [beat_scores(beats, tracker.track(one.audio), trim_s=0) for one, beats in others]
    return {name: float(np.mean([scores[name] for scores in found])) for name in (found[0] if found else ())}


def annotate_folder(
    strategy: str, tracks: list[tuple[Track, Beats]], base: levada.BeatTracker, seed: int
) -> tuple[int, float, dict[str, list[dict[str, float]]]]:
    """Tap some recordings of a folder and apply what is learnt to all; returns actions, seconds and scores by kind."""
    order = np.random.default_rng(seed).permutation(len(tracks))
    labels, given, tapping_s = {}, dict[int, Annotation](), CALIBRATION_S
    for rank, i in enumerate(order[: TAPPED + ONE_DOWNBEAT]):
        track, truth = tracks[i]
        annotator, first = Annotator(truth, 100 * seed + int(i)), min(4, len(truth) - TAPS - 1)
        if rank < TAPPED:
            given[i] = annotator.tap(Beats(truth.times_s[first : first + TAPS], truth.positions[first : first + TAPS]))
            labels[track.id] = (track, given[i])
            tapping_s += float(truth.times_s[first + TAPS] - truth.times_s[first])
        else:
            time_s = truth.downbeats_s[min(1, len(truth.downbeats_s) - 1)]
            given[i] = annotator.tap(Beats([time_s], [1]))
            tapping_s += float(time_s) + KEY_S
    tracker = base
    if strategy != "base":
        tracker = decoding.learn(base, decoding.labelled_spans(labels), strategy, seed=seed)
    scores: dict[str, list[dict[str, float]]] = {}
    for rank, i in enumerate(order):
        track, truth = tracks[i]
        marks = given.get(i, ()) if strategy != "base" else ()
        prepared = decoding.prepare(tracker, track.audio, duration_s=audio.info(track.audio).duration_s)
        beats, start_s = to_beats(decoding.analyse(prepared, marks)[0]), 0.0
        if rank < TAPPED:  # the rest alone
            start_s = float(truth.times_s[min(4, len(truth) - TAPS - 1) + TAPS]) - NEAR_S
        kind = "tapped, the rest" if rank < TAPPED else "a downbeat" if rank < TAPPED + ONE_DOWNBEAT else "nothing"
        rest = [one.between(start_s, np.inf).shift(-start_s) for one in (truth, beats)]
        scores.setdefault(kind, []).append(beat_scores(*rest, trim_s=0))
    taps = sum(len(marks) for marks in given.values())
    return taps + 2 * len(labels), tapping_s + PROPOSAL_S, scores


def folders(folder: Path, *, seeds: int) -> Iterator[tuple[str, list[tuple[Track, Beats]], int]]:
    """Render folders, and find the real ones; a single recording is scored once, as its taps are the same."""
    for tradition, tracks in rendered(folder, TRADITIONS, FOLDER):
        yield tradition, tracks, seeds
    for name, tracks in real_folders():
        yield name, tracks, seeds if len(tracks) > 1 else 1


def rendered(folder: Path, traditions: Iterable[str], n: int) -> Iterator[tuple[str, list[tuple[Track, Beats]]]]:
    """Render recordings of each tradition."""
    for tradition in traditions:
        tracks = []
        for i in range(n):
            piece = levada.render(tradition, duration_s=LENGTH_S, seed=FIRST_SEED + i)
            path = folder / f"{tradition}-{i}.wav"
            audio.write(path, piece.mixture, rate=piece.rate)
            tracks.append((Track(path.stem, path), piece.beats))
        yield tradition, tracks


def real_folders() -> Iterator[tuple[str, list[tuple[Track, Beats]]]]:
    """Find the real recordings with beats."""
    for name in REAL_FOLDERS if REAL.is_dir() else ():
        tracks = [
            (Track(path.stem, path.with_suffix(".flac")), levada.read_beats(path))
            for path in sorted((REAL / name).glob("*.beats"))
        ]
        tracks = [(track, beats) for track, beats in tracks if track.audio.is_file() and len(beats) > TAPS + 4]
        if tracks:
            yield f"{name} (real)", tracks


def print_folders(base: levada.BeatTracker, *, seeds: int, quick: bool) -> None:
    """Print a row for each folder, strategy and kind of recordings."""
    head = "actions | all beats | seconds | recordings | beat F | CMLt | downbeat F"
    print(f"| folder | learnt by | scored on | {head} |\n|{'---|' * 10}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, tracks, n in folders(Path(folder), seeds=seeds):
            for strategy in ("base", "bayes") if quick else ("base", "bayes", "auto"):
                done = [annotate_folder(strategy, tracks, base, seed) for seed in range(n)]
                costs = (f"{np.mean([one[0] for one in done]):.0f}", f"{np.mean([one[1] for one in done]):.0f}")
                every = sum(len(beats) for _, beats in tracks)
                for kind in done[0][2]:
                    rows = [row for _, _, scores in done for row in scores[kind]]
                    values = [f"{np.mean([row[key] for row in rows]):.2f}" for key in SCORES]
                    paid = (costs[0], f"{every}", costs[1]) if strategy != "base" else ("0", f"{every}", "0")
                    print("|", " | ".join([name, strategy, kind, *paid, f"{len(rows)}", *values]), "|", flush=True)


def main() -> None:
    """Print a row for each tradition and method, or for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of the annotator")
    parser.add_argument("--quick", action="store_true", help="one tradition; of folders, without the strategy auto")
    parser.add_argument("--folders", action="store_true", help="folders of recordings, rendered and real")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="those alone, of recordings one by one")
    parser.add_argument("--real", action="store_true", help="the real recordings, one by one")
    options = parser.parse_args()
    base = levada.BeatTracker.from_pretrained("base")
    if options.folders:
        print_folders(base, seeds=options.seeds, quick=options.quick)
        return
    head = (
        "actions | seconds | beat F | CMLt | downbeat F | wrong but verified, % | beat F, others | downbeat F, others"
    )
    print(f"| {'folder' if options.real else 'tradition'} | method | {head} |\n|{'---|' * 10}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        sources: Iterable[tuple[str, list[tuple[Track, Beats]]]] = real_folders()
        if not options.real:
            sources = rendered(Path(folder), TRADITIONS[:1] if options.quick else TRADITIONS, RECORDINGS + OTHERS)
        for name, tracks in sources:
            chosen = tracks[:MOST_REAL] if options.real else tracks[:RECORDINGS]
            for method in options.methods or (method for method in METHODS if method != "auto" or not options.real):
                rows: dict[str, list[tuple[Work, dict[str, float]]]] = {}
                for seed in range(options.seeds):
                    for i, (track, truth) in enumerate(chosen):
                        others = [] if seed or options.real else tracks[RECORDINGS:]
                        for label, work, means in annotate(method, track, truth, base, others, 10 * seed + i):
                            rows.setdefault(label, []).append((work, means))
                for label, done in rows.items():
                    print(_row(name, label, done), flush=True)


def _row(tradition: str, name: str, done: list[tuple[Work, dict[str, float]]]) -> str:
    works = [work for work, _ in done]
    scores = [work.scores or {} for work in works]
    numbers = [f"{np.mean([work.actions for work in works]):.0f}", f"{np.mean([work.seconds for work in works]):.0f}"]
    numbers += [f"{np.mean([one[key] for one in scores]):.2f}" for key in SCORES]
    numbers.append(f"{100 * np.mean([work.wrong_verified for work in works]):.1f}")
    for key in ("beat_f", "downbeat_f"):
        values = [others[key] for _, others in done if others]
        numbers.append(f"{np.mean(values):.2f}" if values else "–")
    return f"| {tradition} | {name} | {' | '.join(numbers)} |"


if __name__ == "__main__":
    main()
