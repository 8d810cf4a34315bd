"""Arrows between modules point down only, and cores are given time instead of asking for it.

Read from the source with `ast`, so nothing is imported and an import inside a function counts as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("strep", "media")

SHELLS = (
    # These may ask what time it is; everything else is given `now_ns`. A name ending in "/" is a folder.
    "strep/clock.py",
)

MAX_LINES = 350

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

WIRE_FILES = {"strep.header", "strep.rtp", "strep.g711", "strep.serial"}
"""Formats, each in its own file: they do not know one another; modular arithmetic is the one they share."""
WIRE_SHARED = "strep.serial"

# audioop left the standard library in 3.13; audioop-lts is the same module under the same name.
BELOW_STREP = sys.stdlib_module_names | {"numpy", "audioop"}

CLOCK_CALLS = {"now", "utcnow", "today"}
CLOCK_CLASSES = {"datetime", "date"}


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def statements(tree: ast.AST, *, with_types: bool = True) -> Iterator[ast.AST]:
    """Yield all statements, however deep; `with_types=False`: but for those that are for type checkers only."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not with_types and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        for name in ("body", "handlers", "cases", "orelse", "finalbody"):
            waiting += getattr(node, name, ())


def imports(
    tree: ast.AST, module: str, *, is_package: bool = False, with_types: bool = True
) -> Iterator[tuple[int, str]]:
    """Yield line and absolute dotted name of everything imported; of `from a import b`, `a.b`."""
    for node in statements(tree, with_types=with_types):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                package = module.split(".") if is_package else module.split(".")[:-1]
                base = package[: len(package) - node.level + 1] + base
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    return imports(parse(path), module_name(path), is_package=path.name == "__init__.py")


def clock_readings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of `import time` in any form, and of datetime.now() and its kin."""
    for line, name in imports(tree, ""):
        if name.split(".")[0] == "time":
            yield line, f"import {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in CLOCK_CALLS:
            owner = ast.unparse(node.value)
            if owner.split(".")[-1] in CLOCK_CLASSES:
                yield node.lineno, f"{owner}.{node.attr}"


def is_within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def is_shell(path: Path) -> bool:
    place = path.relative_to(ROOT).as_posix()
    return any(place == shell or (shell.endswith("/") and place.startswith(shell)) for shell in SHELLS)


def fail_on(violations: list[str], rule: str) -> None:
    if violations:
        pytest.fail(f"{rule}:\n  " + "\n  ".join(violations), pytrace=False)


def at(path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(ROOT).as_posix()}:{line}: {what}"


def test_there_is_something_to_check() -> None:
    names = {module_name(path) for path in sources(*PACKAGES)}
    assert set(PACKAGES) <= names
    assert names >= WIRE_FILES


def test_strep_imports_only_itself_numpy_and_the_standard_library() -> None:
    allowed = BELOW_STREP | {"strep"}
    violations = [
        at(path, line, name)
        for path in sources("strep")
        for line, name in imports_of(path)
        if name.split(".")[0] not in allowed
    ]
    fail_on(violations, "strep/ is the wire: it may not import these")


def test_wire_files_do_not_know_one_another() -> None:
    violations = [
        at(path, line, name)
        for path in sources("strep")
        if module_name(path) in WIRE_FILES
        for line, name in imports_of(path)
        for other in WIRE_FILES - {module_name(path), WIRE_SHARED}
        if is_within(name, other)
    ]
    fail_on(violations, "wire-level files may import strep/serial.py, but no other of their kind")


def test_no_two_modules_need_each_other() -> None:
    """Nor do more in a circle, when functions have run their imports too; what is for types only does not count."""
    modules = {module_name(path): path for path in sources(*PACKAGES, "benchmarks")}
    needs: dict[str, set[str]] = {}
    for module, path in modules.items():
        is_package = path.name == "__init__.py"
        names = [name for _, name in imports(parse(path), module, is_package=is_package, with_types=False)]
        needs[module] = {name if name in modules else name.rpartition(".")[0] for name in names} & set(modules)
    try:
        TopologicalSorter({module: others - {module} for module, others in needs.items()}).prepare()
    except CycleError as error:
        fail_on(error.args[1], "each imports the one before it")


def test_only_shells_ask_for_the_time() -> None:
    violations = [
        at(path, line, what)
        for path in sources(*PACKAGES)
        if not is_shell(path)
        for line, what in clock_readings(parse(path))
    ]
    fail_on(violations, "time is given, not fetched, outside SHELLS")


def test_shells_exist() -> None:
    fail_on([shell for shell in SHELLS if not (ROOT / shell).exists()], "SHELLS names files that are gone")


def test_files_are_one_thing() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*PACKAGES)}
    violations = [at(path, count, f"{count} lines") for path, count in lengths.items() if count > MAX_LINES]
    fail_on(violations, f"more than {MAX_LINES} lines")


def test_modules_are_named_after_what_they_do() -> None:
    violations = [
        path.relative_to(ROOT).as_posix()
        for path in sources(*PACKAGES)
        if VAGUE_NAMES & set(module_name(path).split("."))
    ]
    fail_on(violations, "a name that says nothing")


class TestTheReaders:
    """The rules above are worth what these find."""

    @pytest.mark.parametrize(
        ("source", "module", "expected"),
        [
            ("import media.calls as c, os", "strep.rtp", ["media.calls", "os"]),
            ("from media import calls", "strep.rtp", ["media.calls"]),
            ("def f():\n    from .header import parse", "strep.rtp", ["strep.header.parse"]),
            ("from . import header", "strep.rtp", ["strep.header"]),
            ("from .. import engine", "media.ws.server", ["media.engine"]),
            ("try:\n    import a\nexcept E:\n    import b\nelse:\n    import c", "m", ["a", "b", "c"]),
            ("match x:\n    case 1:\n        with y:\n            import a", "m", ["a"]),
        ],
    )
    def test_imports(self, source: str, module: str, expected: list[str]) -> None:
        assert sorted(name for _, name in imports(ast.parse(source), module)) == expected

    def test_what_is_for_type_checkers_only_does_not_count(self) -> None:
        tree = ast.parse("import a\nif TYPE_CHECKING:\n    import b\nif FAST:\n    import c")
        assert sorted(imports(tree, "m", with_types=False)) == [(1, "a"), (5, "c")]

    def test_relative_import_in_a_package_file(self) -> None:
        found = imports(ast.parse("from .header import parse"), "strep", is_package=True)
        assert list(found) == [(1, "strep.header.parse")]

    @pytest.mark.parametrize(
        "source",
        [
            "import time",
            "import time as t",
            "from time import monotonic_ns",
            "datetime.now()",
            "dt.datetime.now(tz=UTC)",
            "date.today()",
            "clock = datetime.utcnow",
        ],
    )
    def test_clock_readings_found(self, source: str) -> None:
        assert list(clock_readings(ast.parse(source)))

    @pytest.mark.parametrize("source", ["import timeit", "clock.now()", "from strep import time", "self.now"])
    def test_clock_readings_not_found(self, source: str) -> None:
        assert not list(clock_readings(ast.parse(source)))
