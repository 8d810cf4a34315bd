"""``python -m tests.fuzz.guided TARGET [--seconds N]``: search with atheris; ``TARGET FILE...``: try files again.

Without atheris only the latter works. What a search finds lies in .fuzz/TARGET/ as a file, and the command that
tries it again is printed.
"""

from __future__ import annotations

import argparse
import sys
from hashlib import sha1
from pathlib import Path

FOLDER = Path(".fuzz")
ARE_LOOKED_INTO = ["strep", "media", "websockets", "dpkt"]
"""Packages in which new ways through the code are noticed."""


def main() -> int:
    """Search, or try files again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("target", nargs="?", help="its name; without one, all are listed")
    parser.add_argument("files", nargs="*", type=Path, help="inputs to try instead of searching")
    parser.add_argument("--seconds", type=int, default=600, help="how long to search")
    given = parser.parse_args()
    if given.target is None or given.files:
        return replay(given.target, given.files)
    return search(given.target, given.seconds)


def replay(name: str | None, files: list[Path]) -> int:
    """Try `files`, or list the targets."""
    from tests.fuzz.guided.targets import TARGETS

    if name is None:
        print(*TARGETS, sep="\n")  # noqa: T201
        return 0
    for file in files:
        TARGETS[name].check(file.read_bytes())
    print(f"{name}: {len(files)} inputs hold what is promised")  # noqa: T201
    return 0


def search(name: str, seconds: int) -> int:
    """Search for `seconds` with atheris; it ends the process."""
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: use make fuzz-guided", file=sys.stderr)  # noqa: T201
        return 2
    with atheris.instrument_imports(include=ARE_LOOKED_INTO):
        from tests.fuzz.guided.targets import TARGETS
    target = TARGETS[name]
    corpus, finds = FOLDER / name / "corpus", FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (corpus / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-max_len={target.max_bytes}", "-timeout=60", "-rss_limit_mb=2048"]
    shown = ["-print_final_stats=1", f"-artifact_prefix={finds}/"]
    print(f"{name}: what is found lies in {finds}/; again: python -m tests.fuzz.guided {name} FILE", flush=True)  # noqa: T201
    atheris.Setup([sys.argv[0], *limits, *shown, str(corpus)], target.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
