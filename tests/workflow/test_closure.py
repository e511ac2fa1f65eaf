"""Which code a stage depends on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from causaliqa.errors import WorkflowError
from causaliqa.workflow.closure import code_of

PACKAGE = Path(__file__).parents[2] / "src" / "causaliqa"


def names(files: tuple[Path, ...], root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in files}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "pack"
    files = {
        "__init__.py": "from pack.errors import Oops\ndef load():\n    from pack.heavy import model\n",
        "errors.py": "",
        "cli/__init__.py": "import importlib\ndef build():\n    from pack.cli import other\n",
        "cli/verb.py": "def verb():\n    from pack.work import stage\n    stage.run()\n",
        "cli/other.py": "import pack.heavy.model\n",
        "work/__init__.py": "",
        "work/stage.py": (
            "from typing import TYPE_CHECKING\nfrom .helper import f\n"
            "if TYPE_CHECKING:\n    from pack.heavy import model\n"
        ),
        "work/helper.py": "import json\n\ndef f(): ...\n",
        "work/unused.py": "",
        "work/table.yaml": "a: 1\n",
        "heavy/__init__.py": "",
        "heavy/model.py": "",
        "plugins/__init__.py": "import pkgutil\n",
        "plugins/one.py": "import pack.heavy.model\n",
        "plugins/two.txt": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_follows_imports_in_functions_relative_ones_and_data(package: Path) -> None:
    assert names(code_of(package, "pack.cli.verb"), package) == {
        "__init__.py",
        "errors.py",
        "cli/__init__.py",
        "cli/verb.py",
        "work/__init__.py",
        "work/stage.py",
        "work/helper.py",
        "work/table.yaml",
    }


def test_a_package_that_imports_by_name_counts_whole(package: Path) -> None:
    found = names(code_of(package, "pack.plugins"), package)
    assert {"plugins/one.py", "plugins/two.txt", "heavy/model.py"} <= found
    assert "work/stage.py" not in found


def test_reads_the_code_cells_of_notebooks(package: Path, tmp_path: Path) -> None:
    notebook = tmp_path / "page.ipynb"
    cells = [
        {"cell_type": "markdown", "source": ["import pack.work"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "from pack.heavy import model"]},
    ]
    notebook.write_text(json.dumps({"cells": cells}))
    found = names(code_of(package, notebook), package)
    assert "heavy/model.py" in found
    assert "work/__init__.py" not in found


def test_says_what_is_missing_or_broken(package: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkflowError, match=r"no module pack\.cli\.absent"):
        code_of(package, "pack.cli.absent")
    with pytest.raises(WorkflowError, match=r"page\.ipynb: missing"):
        code_of(package, tmp_path / "page.ipynb")
    (package / "heavy" / "model.py").write_text("def (")
    with pytest.raises(WorkflowError, match=r"model\.py: cannot be read as Python"):
        code_of(package, "pack.heavy.model")


def test_stages_of_the_real_package_are_apart() -> None:
    degrade = names(code_of(PACKAGE, "causaliqa.cli.degrade"), PACKAGE)
    assert {"cli/degrade.py", "io.py", "seeding.py", "degradations/ladders.yaml", "datasets/shards.py"} <= degrade
    assert not {name for name in degrade if name.startswith(("disentangle/", "evaluate/", "workflow/"))}
    evaluate = names(code_of(PACKAGE, "causaliqa.cli.evaluate"), PACKAGE)
    assert "evaluate/stage.py" in evaluate
    assert not {name for name in evaluate if name.startswith(("disentangle/", "degradations/"))}
