"""Fixtures of the tests of the studio."""

import pytest

from levada.studio import Project
from studio_recordings import clicks


@pytest.fixture
def recordings(tmp_path):
    """A folder of two recordings without labels; their beats by name."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    return folder, {"even": clicks(folder / "even.wav"), "waltz": clicks(folder / "waltz.wav", bpm=150, metre=3)}


@pytest.fixture
def project(recordings):
    opened = Project(recordings[0])
    yield opened
    opened.close()
