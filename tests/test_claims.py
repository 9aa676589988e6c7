"""What README, RESULTS and docs say of their tables is what the tables say; and the checker itself, on small texts."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from claims import ClaimError, Table, holds, passages_of, problems_of, tables_of

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "book").glob("*.md")])
DOCUMENTS = ("README.md", "benchmarks/RESULTS.md", *(path.relative_to(ROOT).as_posix() for path in PAGES))
TEXT = """
# Results of 0.99

<!-- table: drums -->

| minutes | model | beat F | downbeat F | both |
|---|---|---|---|---|
| – | base | 0.98 [0.93, 1.00] | **0.80** [0.61, 0.95] | .98 / .80 |
| – | `madmom` | 0.98 [0.93, 1.00] | – | .98 / 0.00 |
| 1.5 | base | 0.99 [0.94, 1.00] | 0.76 [0.44, 0.99] | .99 / .76 |
| 1.5 | bayes | 0.78 [0.50, 0.99] | 0.33 [0.04, 0.66] | .78 / .33 |

<!-- table: songs-a -->
| model | gain dB |
|---|---|
| base | 7.46 |
| nmf | -4.6 |

<!-- table: songs-b -->
| model | gain dB |
|---|---|
| base | 6.0 |
| nmf | 5.0 |
"""
TABLES = tables_of(TEXT)


def test_tables():
    assert list(TABLES) == ["drums", "songs-a", "songs-b"]
    assert TABLES["drums"].columns == ("minutes", "model", "beat F", "downbeat F", "both")
    assert TABLES["drums"].rows[1] == ("–", "madmom", "0.98 [0.93, 1.00]", "–", ".98 / 0.00")
    assert TABLES["songs-b"] == Table(("model", "gain dB"), (("base", "6.0"), ("nmf", "5.0")))


@pytest.mark.parametrize(
    "claim",
    [
        "drums[– | base | beat F] = .98",
        "drums[– | base | downbeat F] - drums[1.5 | base | downbeat F] = .04",
        "drums[– | base | downbeat F].low = 0.61",
        "drums[– | base | downbeat F].high - drums[– | base | downbeat F].low = .34",
        "drums[1.5 | * | beat F] < drums[1.5 | base | beat F] + .001",
        "max(drums[* | * | beat F]) = .99",
        "max(drums[– | * | beat F], .985) = .985",
        "min(drums[1.5 | * | beat F / downbeat F]) = drums[1.5 | bayes | downbeat F]",
        "drums[– | base | both] = drums[– | base | beat F / downbeat F]",
        "count(drums[* | * | beat F]) = 4",
        "max(drums[* | * | downbeat F]) = .80",  # a dash among others is passed over
        "count(drums[* | * | downbeat F]) = 3",
        "count(drums[* | * | beat F] >= .98) = 3",
        "count(songs-*[base | gain dB] > songs-*[nmf | gain dB]) = 2",
        "songs-a[base | gain dB] = 7.5",
        "songs-a[base | gain dB] = 7.46",
        "songs-a[nmf | gain dB] = −4.6",
        "-songs-a[nmf | gain dB] = 4.6",
        "songs-a[nmf | gain dB] < 5 < songs-b[base | gain dB]",
        "songs-a[base | gain dB] - 5.0 = 2.5",
    ],
)
def test_claims_that_hold(claim):
    assert holds(claim, TABLES)


@pytest.mark.parametrize(
    "claim",
    [
        "drums[– | base | beat F] = .97",
        "songs-a[base | gain dB] = 7.4",
        "songs-a[base | gain dB] = 7.45",
        "drums[1.5 | * | beat F] >= drums[– | base | beat F]",
        "songs-*[nmf | gain dB] > 0",
        "4 < songs-b[nmf | gain dB] < 5",
        "count(drums[* | * | beat F] >= .98) = 4",
        "drums[1.5 | base | both] = drums[– | base | beat F / downbeat F]",
    ],
)
def test_claims_that_do_not(claim):
    assert not holds(claim, TABLES)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("bass[– | base | beat F] = 1", "no table bass"),
        ("drums[– | bass | beat F] = 1", "names 0 rows"),
        ("drums[– | beat F] = 1", "names 2 rows"),
        ("drums[– | base | F] = 1", "no column F"),
        ("drums[– | madmom | downbeat F] = 0", "no such number"),
        ("songs-b[base | gain dB].low = 0", "no such number"),
        ("drums[– | base | beat F]", "compares nothing"),
        ("drums[– | base | beat F] = ", "missing"),
        ("max(drums[– | base | beat F] = 1", "missing"),
        ("drums[– | base | beat F] = 1)", "cannot be read"),
        ("drums[– | base | beat F] ~ 1", "cannot be read"),
        ("__import__ = 1", "cannot be read"),
        ("drums[* | * | beat F] = songs-*[* | gain dB] - songs-a[* | gain dB]", "4 values cannot be compared with 2"),
    ],
)
def test_claims_that_are_none(claim, said):
    with pytest.raises(ClaimError, match=said):
        holds(claim, TABLES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<!-- table: a -->\nwords", "no table follows"),
        ("<!-- table: a -->\n| x |\n|---|\n| 1 |\n\n" * 2, "two tables called a"),
    ],
)
def test_names_of_no_table(text, said):
    with pytest.raises(ClaimError, match=said):
        tables_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`base` has .98. <!-- claim: drums[– | base | beat F] = .98 -->", []),
        ("`base` has .98,\nas\n<!-- claim: drums[– | base |\n  beat F] = .98 -->", []),
        ("`base` has .98.", ["line 1: no claim has .98"]),
        ("- one\n- `base` has .98.", ["line 2: no claim has .98"]),
        ("It has .98 and .80. <!-- claim: drums[– | base | beat F] = .98 -->", ["line 1: no claim has .80"]),
        ("It is .99. <!-- claim: drums[– | base | beat F] = .99 -->", ["does not hold"]),
        ("It is so. <!-- claim: no[base | beat F] = .99 -->", ["there is no table no"]),
        ("Loses +.04. <!-- claim: drums[– | base | beat F] = .98 -->", ["no claim has +.04"]),
        ("5.0 dB more than 4.0. <!-- claim: songs-b[nmf | gain dB] = 5.0 -->", ["no claim has 4.0"]),
        ("`base` is best.", ["compares models"]),
        ("Adapting beats every rival.", ["compares models"]),
        ("`bayes` never lost. <!-- claim: drums[1.5 | bayes | beat F] < .98 -->", []),
        ("`base` is best. <!-- no claim: of speed -->", []),
        ("`base` is best. <!-- no claim: -->", ["compares models"]),
        ("One .98. <!-- no claim: measured elsewhere --> Another .97.", ["no claim has .97"]),
        ("Beats of every recording, at 0.16 s and 0.5 to 0.8 s, version 2.13.0, of `0.003`.", []),
        ("| a | b |\n|---|---|\n| `base` | .98 |\n", ["line 1: no claim has .98"]),
        ("<!-- table: a -->\n\n| a | b |\n|---|---|\n| `base` | .98 |\n\n# of .98\n\n```\n.98\n```\n", []),
    ],
)
def test_prose(text, expected):
    found = problems_of(text, TABLES)
    assert len(found) == len(expected), found
    assert all(part in problem for part, problem in zip(expected, found, strict=True))


def test_passages_know_their_lines():
    (first, second) = passages_of("One\nline. <!-- claim: 1 = 1; 2 =\n 2 -->\n\n- Two.\n")
    assert (first.line, first.text, first.claims) == (1, "One line.", ["1 = 1", "2 = 2"])
    assert (second.line, second.text, second.claims) == (5, "- Two.", [])


def test_names_of_tables_are_used_once():
    names = [name for document in DOCUMENTS for name in tables_of((ROOT / document).read_text(encoding="utf-8"))]
    assert len(names) == len(set(names))
    assert len(names) >= 10


def test_every_figure_in_a_table_of_the_readme_is_claimed_of_another():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    claims = [claim for passage in passages_of(readme) for claim in passage.claims]
    for name, table in tables_of(readme).items():
        claimed = [found for claim in claims if (found := re.match(rf"{name}\[(.+) \| (.+)\] = (?!{name}\[)", claim))]
        for first, *cells in table.rows:
            for column, cell in zip(table.columns[1:], cells, strict=True):
                assert not re.search(r"\d", cell) or any(
                    fnmatchcase(first, found[1]) and column == found[2] for found in claimed
                ), f"{name}: {first}, {column}"


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_documentation_claims_what_its_tables_say(document):
    tables = {}
    for other in DOCUMENTS:
        tables |= tables_of((ROOT / other).read_text(encoding="utf-8"))
    assert problems_of((ROOT / document).read_text(encoding="utf-8"), tables) == []
