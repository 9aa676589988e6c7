"""`levada corpus`: check, list and download corpora, and compare annotators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import pages, terminal
from levada.cli.options import UNUSABLE, Convention, Json, Labels

__all__ = ["app"]

app = pages.group(
    help="Recordings with beats, and songs with stems: check them, list and download datasets, compare annotators.",
    no_args_is_help=True,
)


@app.command("check")
def corpus_check(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings, mirdata:NAME, or rendered:TRADITION.")],
    labels: Labels = None,
    convention: Convention = "",
    as_json: Json = False,
) -> None:
    """Print durations, tempi and metres, or instruments, and everything that is wrong; exit code 2 for errors."""
    from levada.data import load_corpus

    opened = load_corpus(corpus, labels=None if labels is None else labels.value, convention=convention)
    with terminal.progress("checking"):
        report = opened.check()
    if as_json:
        problems = [{**vars(problem), "path": problem.path and str(problem.path)} for problem in report.problems]
        facts = {"corpus": report.name, "labels": opened.labels}
        terminal.print_json({**facts, "recordings": [*map(vars, report.rows)], "problems": problems})
    else:
        terminal.print_corpus(opened, report)
    if not report.ok:
        raise typer.Exit(UNUSABLE)


@app.command("agreement")
def corpus_agreement(
    first: Annotated[str, typer.Argument(help="A folder of beat files, or an annotator of --corpus.")],
    second: Annotated[str, typer.Argument(help="Another one, of the same recordings.")],
    corpus: Annotated[
        Path | None, typer.Option(help="A folder of recordings that several people annotated; names are annotators.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare two annotators, or two folders of beats: F, asynchrony, positions; which recordings differ, and how."""
    from dataclasses import asdict

    from levada.beat_tracking.agreement import compare_beat_files
    from levada.data.folder import annotations_of

    places = [(first, ""), (second, "")] if corpus is None else [(corpus, first), (corpus, second)]
    found = compare_beat_files(*(annotations_of(*place) for place in places), names=(first, second))
    if as_json:
        rows = [{"recording": name, **asdict(row), "same": row.is_same} for name, row in found.items()]
        terminal.print_json({"first": first, "second": second, "recordings": rows})
    else:
        terminal.print_agreement(found)


@app.command("list")
def corpus_list(
    home: Annotated[Path | None, typer.Option(help="Where datasets lie; ~/mir_datasets by default.")] = None,
    as_json: Json = False,
) -> None:
    """List the datasets of mirdata that have beats or stems: recordings, minutes and licence where they are stated."""
    from levada.data import list_datasets

    with terminal.progress("reading mirdata's datasets") as progress:
        datasets = list_datasets(home=home, progress=progress)
    if as_json:
        terminal.print_json([vars(dataset) for dataset in datasets])
    else:
        terminal.print_datasets(datasets)


@app.command("get")
def corpus_get(
    name: Annotated[str, typer.Argument(help="A mirdata dataset: candombe, brid …; or groove, pop909 for pretrain.")],
    home: Annotated[Path | None, typer.Option(help="Where datasets lie; ~/mir_datasets by default.")] = None,
    archive: Annotated[Path | None, typer.Option(help="Of groove or pop909, downloaded by hand.")] = None,
) -> None:
    """Download a dataset, checked; its licence and citation are shown."""
    from levada.data import get, symbolic

    if name in symbolic.SOURCES:
        folder = (home or Path.home() / "mir_datasets") / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        with terminal.progress(f"{name} (bytes)") as progress:
            symbolic.fetch(name, folder, archive=archive, progress=progress)
        source = symbolic.SOURCES[name]
        print(f"{name}: {folder}\n\nlicence\n{source.licence}\n\ncite\n{source.citation}")
        return
    got = get(name.removeprefix("mirdata:"), home=home)
    print(f"{got.name}: {terminal.count(len(got.tracks), 'recording')} in {got.root}")
    print(f"\nlicence\n{got.licence}\n\ncite\n{got.citation}\n\nuse it as mirdata:{name.removeprefix('mirdata:')}")
