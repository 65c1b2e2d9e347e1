"""Our own source, parsed, for the tests that hold its shape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file: its path from the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How long the file is."""
        return self.text.count("\n")

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Yield every function with where it stands, methods and inner functions too."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield f"{self.path}:{node.lineno} {node.name}", node

    def imports(self) -> Iterator[tuple[int, str]]:
        """Yield line and full dotted name of everything that is imported."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)

    def attributes(self) -> Iterator[tuple[int, str]]:
        """Yield line and dotted text of every attribute that is read, such as `os.environ`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute):
                yield node.lineno, ast.unparse(node)

    def statements(self) -> Iterator[tuple[int, str]]:
        """Yield line and text of every string in what is executed, such as `"COMMIT"`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".execute") and node.args:
                for told in ast.walk(node.args[0]):
                    if isinstance(told, ast.Constant) and isinstance(told.value, str):
                        yield node.lineno, told.value


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """Return the Python files under these folders."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return tuple(_parse(path) for path in paths)


def _parse(path: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path.relative_to(ROOT).as_posix(), text, ast.parse(text))


def length(node: Function) -> int:
    """Return how many lines a function takes, without its decorators and its docstring."""
    doc = ast.get_docstring(node, clean=False)
    return (node.end_lineno or node.lineno) - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)
