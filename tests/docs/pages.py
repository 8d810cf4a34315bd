"""What stands in a page: commands and examples in its blocks, and in the running text, with where they are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
]
TEXT = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
SHELLS = ("console", "sh")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENDS = {";", "&", "&&", "|", "||", "(", ")", ">", "<", ">>"}


@dataclass(frozen=True)
class Example:
    """A command of a block of a shell, or a block of another language."""

    page: str
    section: str
    """The heading above it that has two hashes."""
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}#{self.section}" if self.section else self.page


def examples() -> Iterator[Example]:
    """Yield all that is printed in blocks; of a shell's, each command by itself."""
    for page, text in TEXT.items():
        for block in _BLOCK.finditer(text):
            section = "".join(re.findall(r"^## (.*)$", text[: block.start()], re.MULTILINE)[-1:])
            language, body = block[1] or "text", block[2]
            parts = list(commands_of(language, body)) if language in SHELLS else [body]
            yield from (Example(page, section, language, part) for part in parts)


def commands_of(language: str, block: str) -> Iterator[str]:
    """Yield the commands in a block: of a console those behind a dollar, of a script all, quotes closed."""
    command = ""
    for line in block.replace("\\\n", " ").splitlines():
        if language == "console":
            if line.startswith("$ "):
                yield line.removeprefix("$ ")
            continue
        command += line
        try:
            shlex.split(command)
        except ValueError:  # a quote is open: it goes on
            command += "\n"
            continue
        if command:
            yield command
        command = ""


def spans() -> Iterator[tuple[str, str]]:
    """Yield page and text of each piece of code in running text."""
    for page, text in TEXT.items():
        for marks, span in re.findall(r"(`+)(.+?)\1(?!`)", _BLOCK.sub("", text), re.DOTALL):
            if len(marks) < 3:
                yield page, " ".join(span.split())


def simple_commands(line: str) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Yield variables and words of each program that a line of a shell starts, in $(...) and behind pipes as well."""
    for inner in re.findall(r"\$\(([^()]*)\)", line):
        yield from simple_commands(inner)
    variables, words = dict[str, str](), list[str]()
    for word in [*_words(re.sub(r"\$\(([^()]*)\)", "WHAT-IT-PRINTS", line)), ";"]:
        if word in _ENDS:
            if words:
                yield variables, words
            variables, words = {}, []
        elif words or not re.match(r"[A-Za-z_]+=", word):
            words.append(word)
        else:
            name, _, value = word.partition("=")
            variables[name] = value


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();|&<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
