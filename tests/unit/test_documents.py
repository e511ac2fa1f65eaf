import io
import re
import subprocess
import tarfile
from pathlib import Path

from causaliqa.report import documents

ROOT = Path(__file__).resolve().parents[2]


def committed(folder: Path) -> Path | None:
    """Return `folder` with the report tables of the last commit, or None outside a clone."""
    tracked = ["reports/tables", "docs/evidence"]
    tables = subprocess.run(["git", "archive", "HEAD", *tracked], cwd=ROOT, capture_output=True, check=False)
    if tables.returncode:
        return None
    with tarfile.open(fileobj=io.BytesIO(tables.stdout)) as archive:
        # Python 3.11.2, Debian's, knows no extraction filters; the members are this repository's own tables.
        for member in archive.getmembers():
            if member.isfile() and (content := archive.extractfile(member)) is not None:
                (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / member.name).write_bytes(content.read())
    return folder


def test_the_results_are_those_of_the_tracked_tables(tmp_path: Path) -> None:
    # A run of another preset leaves its own tables in the working tree; those of the commit are the README's then.
    text = (ROOT / "README.md").read_text()
    sources = [root for root in (committed(tmp_path), ROOT) if root is not None]
    assert text in [documents.readme(text, root) for root in sources], (
        "README.md is stale: python -m causaliqa.report.documents"
    )


def test_the_table_of_the_evaluation_page_is_that_of_the_evidence() -> None:
    text = (ROOT / "docs/evaluation.md").read_text()
    table = documents.people_long(ROOT)
    assert table.count("\n") == 1 + len(documents.LONG)
    assert documents.evaluation(text, ROOT) == text, "docs/evaluation.md is stale: python -m causaliqa.report.documents"


def test_every_linked_file_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_two_commands_are_named() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make reproduce" in text
    assert "make test" in text
