"""Which source files a verb can reach: a static walk of imports.

Snakemake and DVC both take these files as inputs of a stage, so that an edit of the code reruns what it can change
and nothing else.
"""

from __future__ import annotations

import ast
import functools
import json
from collections.abc import Iterator
from pathlib import Path

from causaliqa.errors import WorkflowError

#: Modules that know every verb: what they import when loaded counts, what their functions import does not.
_HUBS = ("__init__.py", "__main__.py", "cli/__init__.py")
#: A module that imports one of these picks modules by name at run time; its whole sub-package then counts.
_DYNAMIC = {"importlib", "pkgutil"}


def _imports(tree: ast.Module, package: str, *, functions: bool) -> Iterator[str]:
    """Yield dotted names that a module may import; a name out of a module counts as a possible sub-module."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not functions:
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            stack.extend(node.orelse)  # Types only: never imported by a running job.
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        stack.extend(ast.iter_child_nodes(node))


def _source(path: Path) -> str:
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in text.splitlines())


@functools.cache
def _names(path: Path, package: str, functions: bool) -> frozenset[str]:
    """Return the dotted names that a file imports; each file is read once, although many verbs reach it."""
    try:
        tree = ast.parse(_source(path))
    except (SyntaxError, KeyError, ValueError) as error:
        raise WorkflowError(f"{path}: cannot be read as Python ({error}); repair it") from None
    return frozenset(_imports(tree, package, functions=functions))


class _Walk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = root.name
        self.found: set[Path] = set()

    def _file(self, dotted: str) -> Path | None:
        """Return the file of a module of the package, or None for any other name."""
        parts = dotted.split(".")
        if parts[0] != self.name:
            return None
        base = self.root.joinpath(*parts[1:])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
        return None

    def module(self, dotted: str) -> None:
        """Add a module, the packages it lies in, and all that they import."""
        path = self._file(dotted)
        if path is None:
            return
        parts = dotted.split(".")
        for length in range(1, len(parts)):
            parent = self._file(".".join(parts[:length]))
            if parent is not None:
                self.file(parent)
        self.file(path)

    def file(self, path: Path) -> None:
        """Add a file and all that it imports."""
        if path in self.found:
            return
        self.found.add(path)
        inside = path.is_relative_to(self.root)
        package = ".".join([self.name, *path.parent.relative_to(self.root).parts]) if inside else ""
        hub = inside and path.relative_to(self.root).as_posix() in _HUBS
        names = _names(path, package, not hub)
        if not inside:
            self.found.discard(path)
        if inside and not hub:
            self._data(path.parent)
            if path.parent not in (self.root, self.root / "cli") and _DYNAMIC & {name.split(".")[0] for name in names}:
                for neighbour in sorted(path.parent.rglob("*.py")):
                    self.file(neighbour)
        for name in sorted(names):
            self.module(name)

    def _data(self, folder: Path) -> None:
        """Add the files other than Python that the sub-package of a module owns."""
        if folder == self.root:
            return
        for path in sorted(folder.rglob("*")):
            # A folder with its own __init__.py is another sub-package: its data counts when it is imported.
            owner = next((up for up in path.parents if (up / "__init__.py").is_file()), folder)
            hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
            if path.is_file() and not hidden and path.suffix not in (".py", ".pyc") and owner == folder:
                self.found.add(path)


@functools.cache
def code_of(root: Path, *starts: str | Path) -> tuple[Path, ...]:
    """Return the files of a package that modules or notebooks can reach.

    Parameters
    ----------
    root : folder of the package, e.g. ``src/causaliqa``.
    starts : dotted module names, or paths of notebooks whose code cells import the package. Notebooks themselves
        are not part of the answer.

    Returns
    -------
    Sorted paths: modules imported directly, indirectly or inside functions (not under ``TYPE_CHECKING``), the
    ``__init__.py`` of every package on the way, and the data files of the sub-packages reached.

    Raises
    ------
    WorkflowError
        If a start does not exist or a file is not Python.
    """
    walk = _Walk(root)
    for start in starts:
        if isinstance(start, Path):
            if not start.is_file():
                raise WorkflowError(f"{start}: missing; a stage's code is read from it")
            walk.file(start)
            continue
        if walk._file(start) is None:
            raise WorkflowError(f"{root}: has no module {start}; a stage runs it")
        walk.module(start)
    return tuple(sorted(walk.found))
