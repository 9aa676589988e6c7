"""Arguments of public functions: a wrong type is refused, and the message has the name of the argument."""

import inspect
import re

import numpy as np
import pytest

import levada
from levada.arguments import check_argument, checked, to_array
from levada.data import Corpus
from levada.errors import InputError
from levada.io.beats import Beats

CLASSES = [levada.BeatTracker, levada.Beats, levada.Player, levada.Separator, levada.Stems, Corpus]
FUNCTIONS = [levada.evaluate, levada.load_corpus, levada.read_beats, levada.render]
PARTS = {"for_recording", "stream", "with_times", "with_positions", "get"}
"""Methods that other modules call for each piece of a recording, that take arrays as `Beats` does, or of mappings."""


def _methods():
    for kind in CLASSES:
        for name, method in inspect.getmembers(kind, inspect.isroutine):
            if name.startswith("_") or name in PARTS:
                continue
            if inspect.signature(method).parameters.keys() - {"self"}:
                yield f"{kind.__name__}.{name}", method
    yield "Player", levada.Player.__init__


ARGUMENTS = [
    pytest.param(function, name, id=f"{title}-{name}")
    for title, function in [*((one.__name__, one) for one in FUNCTIONS), *_methods()]
    for name in inspect.signature(function).parameters
    if name != "self"
]


@pytest.mark.parametrize(("function", "name"), ARGUMENTS)
def test_an_argument_of_another_type_is_named(function, name):
    """Before anything else: whatever the other arguments are."""
    with pytest.raises(InputError, match=f"^{name} must be .*, not an object$"):
        function(**{name: object()})


def test_public_functions_are_looked_at():
    assert len(ARGUMENTS) > 100
    assert {"evaluate-models", "BeatTracker.save-folder", "Corpus.sample-minutes"} <= {one.id for one in ARGUMENTS}


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("str", ["", "x"], [None, b"x", 3]),
        ("str | Path", ["x", levada.__path__[0]], [None, b"x", 3, ["x"]]),
        ("bool", [True, np.True_, np.bool_(0)], [None, 0, 1, "no", []]),
        ("int", [0, -3, np.int64(3)], [None, 1.0, True, "3", np.zeros(2)]),
        ("int | None", [3, None], ["", 0.5]),
        ("float", [0, 1.5, np.float32(2), float("nan")], [None, "1", True, 1j, [1.0]]),
        ("Callable[[int, int | None], None] | None", [print, None, Beats], [3, "print"]),
        ("Sequence[str]", [[], ("a", "b")], ["a", b"a", [1], {"a"}, None]),
        ("Mapping[str, str] | None", [{}, {"a": "b"}, None], [{"a": 1}, {1: "a"}, [("a", "b")]]),
        ("Seed", [0, [1, 2], np.random.default_rng(0)], [None, "0", 0.5, ["a"]]),
        ("Beats | None", [Beats([0.5]), None], [[0.5], np.zeros(1), "song.beats"]),
        ("AudioLike", ["a.wav", [0.0, 1.0], np.zeros((2, 9))], [None, 3, Beats([0.5]), {}]),
        ("TempoRange | None", [120, (90, 100.0), None], ["120", (None, 3), True]),
        ("Sequence[Metre]", [[4], ("2+2+3", 3)], ["4", 4, [4.5], None]),
        ("Sequence[Span]", [[]], [[3], "my-recordings", None]),
    ],
)
def test_types(annotation, right, wrong):
    for value in right:
        check_argument("it", value, annotation)
    for value in wrong:
        with pytest.raises(InputError, match=r"^it must be "):
            check_argument("it", value, annotation)


def test_unknown_types_are_left_to_the_function():
    @checked
    def double(value: "complex | int", times: "int" = 2) -> "complex":
        return value * times

    assert double("a") == "aa"
    assert double(2j, times=3) == 6j
    with pytest.raises(InputError, match=r"^times must be a whole number, not 1\.5$"):
        double("a", 1.5)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'value'"):
        double()
    assert double.__name__ == "double"


@pytest.mark.parametrize("values", ["x", [1, "x"], [[1], [1, 2]], {}, object(), [None, object()]])
def test_arrays_of_what_is_no_number_are_refused(values):
    with pytest.raises(InputError, match=r"^it must be an array of numbers: "):
        to_array("it", values)
    with pytest.raises(InputError, match=r"^times_s must be an array of numbers: "):
        Beats(values)
    with pytest.raises(InputError, match=r"^positions must be an array of numbers: "):
        Beats([0.5], values)


@pytest.fixture(scope="module")
def corpus(rendered):
    return levada.load_corpus(rendered)


@pytest.fixture(scope="module")
def flux():
    return levada.BeatTracker.from_pretrained("flux")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "levada.evaluate(flux, corpus)",
            'models must be a mapping of names to models, such as {"mine": mine}, not a ',
        ),
        ("levada.evaluate([flux], corpus)", "models must be a mapping"),
        ("levada.evaluate({}, corpus)", "nothing to evaluate: name a model"),
        ("levada.evaluate({'flux': 'flux'}, corpus)", "flux is not such a model"),
        (
            "levada.evaluate({'flux': flux}, 'my-recordings')",
            "corpus must be a corpus, as levada.load_corpus returns it, not 'my-recordings'",
        ),
        ("levada.evaluate({'flux': flux}, corpus.tracks)", "corpus must be a corpus"),
        ("flux.adapt(corpus)", "labels must be a list of spans, as Corpus.sample returns them, not a Corpus"),
        ("flux.adapt(corpus.sample()[0])", "labels must be a list of spans"),
        ("flux.adapt([], layers='head')", "layers must be a list of strings, not 'head'"),
        ("flux.track(corpus, 44100)", "audio must be a path, or an array of samples"),
        ("flux.track(['a.wav'], 44100)", "samples must be an array of numbers"),
        ("flux.track('no.wav')", "no.wav: there is no such file"),
        ("flux.track('a.wav', hints=[1.0])", "hints must be Beats"),
        ("levada.BeatTracker.from_pretrained('bass')", "bass"),
        ("levada.load_corpus('')", "source is empty"),
        ("levada.load_corpus('no-such-folder')", "no-such-folder: "),
        ("levada.render('candombe', duration_s='8')", "duration_s must be a number, not '8'"),
        ("levada.render('candombe', seed=-1)", "seed must be 0 or above, not -1"),
        ("corpus.split(seed=-1)", "seed must be 0 or above, not -1"),
        ("corpus.sample(minutes='1.5')", "minutes must be a number or None, not '1.5'"),
    ],
)
def test_mistakes(flux, corpus, code, message):
    with pytest.raises(InputError, match=re.escape(message)):
        eval(code, {"levada": levada, "flux": flux, "corpus": corpus})
