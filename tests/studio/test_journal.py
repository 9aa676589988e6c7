"""The journal: nothing is lost, undo is a row, and two people do not meet."""

import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.errors import InputError
from levada.studio.annotation import Mark, edit
from levada.studio.journal import Journal

ONE, TWO = (Mark(1.0),), (Mark(1.0), Mark(2.0, 1, True, 0.25, 0.125))


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def test_edits_are_read_back_exactly_as_they_were_written(journal):
    odd = (Mark(0.1 + 0.2, 3, False, 1 / 3, None),)
    journal.add("song", "me", "model", odd)
    again = Journal(journal.path)
    assert again.state("song", "me").annotation == odd
    again.close()


def test_undo_and_redo_go_back_and_forth_and_survive_a_restart(journal):
    journal.add("song", "me", "model", ONE)
    journal.add("song", "me", "tap", TWO)
    assert journal.undo("song", "me").annotation == ONE
    assert journal.undo("song", "me").annotation == ONE  # what the model found cannot be undone
    again = Journal(journal.path)
    assert again.redo("song", "me").annotation == TWO
    assert again.redo("song", "me").annotation == TWO
    again.close()


def test_an_edit_after_undo_forgets_what_could_be_redone(journal):
    journal.add("song", "me", "model", ONE)
    journal.add("song", "me", "tap", TWO)
    journal.undo("song", "me")
    journal.add("song", "me", "tap", (Mark(3.0),))
    assert journal.redo("song", "me").annotation == (Mark(3.0),)
    assert journal.undo("song", "me").annotation == ONE


def test_rows_are_only_ever_added(journal):
    journal.add("song", "me", "model", ONE)
    journal.add("song", "me", "tap", TWO, origin={"lag_ms": 80.0})
    journal.undo("song", "me")
    rows = sqlite3.connect(journal.path).execute("SELECT kind, of_edit, origin FROM edits ORDER BY id").fetchall()
    assert rows == [("model", None, "{}"), ("tap", None, '{"lag_ms": 80.0}'), ("undo", 2, "{}")]


def test_annotators_and_recordings_do_not_mix(journal):
    journal.add("song", "ana", "model", ONE)
    journal.add("song", "bea", "model", TWO)
    journal.add("other", "ana", "model", TWO)
    assert journal.state("song", "ana").annotation == ONE
    assert journal.annotators() == ["ana", "bea"]
    assert journal.recordings("ana") == ["other", "song"]


@settings(deadline=None)  # every edit waits for the disk
@given(st.lists(st.sampled_from(["tap", "downbeat", "delete", "undo", "redo"]), max_size=25), st.randoms())
def test_any_sequence_of_edits_is_the_same_after_a_restart(tmp_path_factory, kinds, random):
    path = tmp_path_factory.mktemp("journal") / "journal.sqlite"
    journal, history, at = Journal(path), [()], 0
    for kind in kinds:
        now = journal.state("song", "me").annotation
        if kind in ("undo", "redo"):
            at = max(0, at - 1) if kind == "undo" else min(len(history) - 1, at + 1)
            assert getattr(journal, kind)("song", "me").annotation == history[at]
            continue
        try:
            after = edit(now, kind, {"time_s": random.uniform(0, 20)})
        except InputError:
            continue
        if after == now and journal.state("song", "me").revision:
            continue
        journal.add("song", "me", kind, after)
        history, at = [*history[: at + 1], after], at + 1
    again = Journal(path)
    assert again.state("song", "me") == journal.state("song", "me")
    journal.close()
    again.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_process_that_is_killed_loses_no_edit_that_was_answered(tmp_path):
    program = (
        "import sys, pathlib; from levada.studio.journal import Journal; from levada.studio.annotation import Mark\n"
        "journal, marks = Journal(pathlib.Path(sys.argv[1])), ()\n"
        "for i in range(100000):\n"
        "    marks += (Mark(float(i)),); journal.add('song', 'me', 'tap', marks); print(i, flush=True)\n"
    )
    path = tmp_path / "journal.sqlite"
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    answered = [int(process.stdout.readline()) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    answered += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    journal = Journal(path)
    assert len(journal.state("song", "me").annotation) >= len(answered) >= 20
    journal.close()


def test_the_share_that_stays_is_counted_for_each_model(journal):
    marks = tuple(Mark(0.5 * i, i % 4 + 1) for i in range(20))
    journal.add("song", "me", "model", marks)

    def do(kind, **arguments):
        journal.add("song", "me", kind, edit(journal.state("song", "me").annotation, kind, arguments))

    do("verify", start_s=0, end_s=1.0)  # three beats
    do("move", time_s=1.5, to_s=1.6)
    do("delete", time_s=9.5)
    journal.undo("song", "me")
    assert journal.kept_shares("me") == [(4, 0.75)]
    journal.add("song", "me", "learn", (*journal.state("song", "me").annotation, Mark(20.0)))
    assert journal.kept_shares("me") == [(4, 0.75), (0, 1.0)]
    do("verify", start_s=8, end_s=9.5)
    assert journal.kept_shares("me") == [(4, 0.75), (4, 1.0)]


@pytest.mark.parametrize(
    ("steps", "right", "is_enough"),
    [
        ("", 0, False),
        ("v", 0, False),  # where one begins
        ("hbv", 0, False),
        ("vv", 1, False),
        ("vvv", 2, True),
        ("vvvd", 0, False),
        ("vvdv", 0, False),  # it was corrected
        ("vvdvvv", 2, True),
        ("vdvdvvv", 2, False),  # two were wrong: three have to be right
        ("vdvdvvvv", 3, True),
        ("tt", 0, False),
        ("ttlvv", 2, True),  # taps are where one begins
        ("ttlvvl", 0, False),
        ("vvvu", 1, False),
        ("vvdu", 1, False),
    ],
)
def test_it_is_enough_when_as_many_stretches_were_right_as_had_to_be(journal, steps, right, is_enough):
    marks = tuple(Mark(0.5 * i, i % 4 + 1) for i in range(60))
    journal.add("song", "me", "model", marks)
    for i, step in enumerate(steps):
        now = journal.state("song", "me").annotation
        kind, arguments = {
            "v": ("verify", {"start_s": 2 * i, "end_s": 2 * i + 1.9}),
            "d": ("delete", {"time_s": 29}),
            "t": ("tap", {"time_s": 0.6 * i + 0.3}),
            "h": ("half", {"time_s": 0}),
            "b": ("downbeat", {"time_s": 1}),
        }.get(step, ("", {}))
        if step == "u":
            journal.undo("song", "me")
        elif step == "l":
            journal.add("song", "me", "learn", tuple(mark._replace(confidence=0.1 * i) for mark in now))
        else:
            journal.add("song", "me", kind, edit(now, kind, arguments))
    assert journal.checked("song", "me") == (right, is_enough)
    assert journal.checked("song", "bea") == journal.checked("other", "me") == (0, False)


def test_a_damaged_journal_and_one_of_the_future_are_refused(tmp_path):
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"this is no database" * 100)
    with pytest.raises(InputError, match="cannot be used"):
        Journal(damaged)
    future = tmp_path / "future.sqlite"
    connection = sqlite3.connect(future)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(InputError, match="newer levada"):
        Journal(future)


def test_a_full_disk_is_a_message_and_what_was_saved_stays(journal):
    journal.add("song", "me", "model", ONE)
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._connection.execute(f"PRAGMA max_page_count={pages}")
    many = tuple(Mark(float(i) / 10) for i in range(20_000))
    with pytest.raises(InputError, match="disk is full"):
        journal.add("song", "me", "tap", many)
    assert journal.state("song", "me").annotation == ONE
    again = Journal(journal.path)
    assert again.state("song", "me").annotation == ONE
    again.close()


def test_edits_take_little_time(journal):
    marks = tuple(Mark(0.5 * i, i % 4 + 1) for i in range(1500))
    journal.add("song", "me", "model", marks)
    started = time.process_time()
    for i in range(20):
        marks = edit(marks, "tap", {"time_s": 0.5 * i + 0.05, "position": 0})
        journal.add("song", "me", "tap", marks)
    assert time.process_time() - started < 1.0
