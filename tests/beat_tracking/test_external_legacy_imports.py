"""Old libraries are imported as in 2018, and nobody else sees a difference."""

import collections
import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest

from levada.beat_tracking.external.legacy_imports import import_legacy
from levada.errors import InputError

OLD = """
import pkg_resources
from collections import MutableSequence
import numpy as np
from . import part
__version__ = pkg_resources.get_distribution("oldlib").version
KIND = np.int
class Rows(MutableSequence):
    __getitem__ = __setitem__ = __delitem__ = __len__ = insert = None
def later():
    return np.zeros(2, np.float), np.asarray([(np.zeros(3), 1.0), (np.zeros(2), 2.0)])[:, 1], np.pi
"""


@pytest.fixture
def oldlib(tmp_path, monkeypatch):
    """A library of 2018, to be imported; without what names its version."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "oldlib"
    package.mkdir()
    (package / "part.py").write_text("")
    yield package / "__init__.py"
    for name in [name for name in sys.modules if name.partition(".")[0] == "oldlib"]:
        del sys.modules[name]


def nothing_is_lent():
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("oldlib")
    return not hasattr(collections, "MutableSequence") and "int" not in vars(np) and "pkg_resources" not in sys.modules


class TestImportOld:
    def test_a_library_of_2018_works(self, oldlib):
        oldlib.write_text(OLD)
        library = import_legacy("oldlib")
        assert library.__version__ == "unknown"
        assert library.KIND is int
        zeros, column, pi = library.later()
        assert zeros.dtype == np.float64
        assert column.tolist() == [1.0, 2.0]
        assert pi == np.pi

    def test_and_leaves_everybody_else_as_they_were(self, oldlib):
        before = importlib.metadata.distribution
        oldlib.write_text(OLD)
        import_legacy("oldlib")
        assert importlib.metadata.distribution is before
        assert nothing_is_lent()
        with pytest.raises(ValueError, match="inhomogeneous"):
            np.asarray([(np.zeros(3), 1.0), (np.zeros(2), 2.0)])

    @pytest.mark.parametrize("line", ["import no_such_thing", "1 / 0", "raise OSError('no libmad')", "oops oops"])
    def test_what_cannot_be_imported_leaves_nothing(self, oldlib, line):
        oldlib.write_text(OLD + line)
        with pytest.raises(InputError, match="the oldlib that is installed cannot be imported") as caught:
            import_legacy("oldlib.part")
        assert caught.value.__cause__ is not None
        assert not [name for name in sys.modules if name.startswith("oldlib")]
        assert nothing_is_lent()

    def test_a_second_module_of_a_library_that_is_there(self, oldlib):
        oldlib.write_text(OLD)
        (oldlib.parent / "more.py").write_text("import numpy as np\ndef ones(): return np.ones(1, np.int)\n")
        library = import_legacy("oldlib")
        assert import_legacy("oldlib.more").ones().tolist() == [1]
        assert sys.modules["oldlib"] is library

    def test_a_library_that_is_not_there(self):
        with pytest.raises(InputError, match=r"oldlib2018 .*ModuleNotFoundError"):
            import_legacy("oldlib2018")

    def test_its_warnings_are_its_own(self, oldlib):
        oldlib.write_text(OLD + "import warnings\nwarnings.warn('old', DeprecationWarning)\n")
        code = f"import sys; sys.path.insert(0, {str(oldlib.parents[1])!r}); "
        code += "from levada.beat_tracking.external.legacy_imports import import_legacy; import_legacy('oldlib')"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=600
        )
        assert (done.returncode, done.stderr) == (0, "")
