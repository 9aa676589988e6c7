"""The results of commands do not depend on how many threads libraries may use."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from levada.data.rendered import render_corpus
from levada.synth.traditions import read_tradition

COMMANDS = """
import sys
from levada.cli import main

for arguments in (
    ["track", "corpus/candombe-001/mixture.wav", "-o", "x.beats"],
    ["separate", "corpus/candombe-001/mixture.wav", "--instruments", "chico,repique,piano-drum", "-o", "stems"],
    ["adapt", "corpus", "--labels", "stems", "--strategy", "nmf-conv", "-o", "model"],
):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as stop:
        assert not stop.code, arguments
"""


@pytest.mark.slow
def test_files_are_the_same_for_any_number_of_threads(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    render_corpus(corpus, read_tradition("candombe"), minutes=0.2, recordings=2, seed=1, multitrack=True, processes=1)
    digests = []
    for threads in ("1", "2", "4"):
        folder = tmp_path / threads
        folder.mkdir()
        (folder / "corpus").symlink_to(corpus)
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        subprocess.run([sys.executable, "-c", COMMANDS], cwd=folder, env=environment, check=True, capture_output=True)
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".beats", ".wav", ".safetensors"))
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
    assert len(digests[0]) == 5
    assert digests[0] == digests[1] == digests[2]
