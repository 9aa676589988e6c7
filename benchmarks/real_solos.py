"""Real solos as a folder for `levada study surdo --corpus`: `python benchmarks/real_solos.py OUT`.

No surdo is among the recordings of `../shared/real`. The percussion with the most takes is the drum kit, of 13
recordings; basses, guitars, keyboards and voices of four of the same songs, a guitar, a tamborim and a shaker are what
it is mixed with. Takes of a song are a group. Files are linked, not copied:

    python benchmarks/real_solos.py solos
    levada study surdo --corpus solos --target drums -o drums
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stems import MDB, REAL, SOLOS


def main() -> None:
    """Link the recordings and name their groups."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    takes = [("drums", path.stem, path) for path in sorted((REAL / "mdb_drums" / "drums_only").glob("*.flac"))]
    takes += [
        (name, song, REAL / "mdb_drums" / "full_mixes" / song / f"stem_{number:02}.flac")
        for song, names in MDB.items()
        for number, name in enumerate(names, start=1)
        if name != "drums"
    ]
    takes += [(name, name, REAL / SOLOS[name]) for name in ("tamborim", "shaker", "guitar")]
    for number, (instrument, group, path) in enumerate(takes):
        link = out / instrument / f"{group}-{number}.flac"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    names = "".join(f'"{name}/*" = "{name}"\n' for name in dict.fromkeys(name for name, _, _ in takes))
    groups = "".join(f'"*/{group}-*" = "{group}"\n' for group in dict.fromkeys(group for _, group, _ in takes))
    text = f'name = "real solos"\nlayout = "solos"\n\n[instruments]\n{names}\n[groups]\n{groups}'
    (out / "corpus.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
