import re
from pathlib import Path

from causaliqa.report import readme

ROOT = Path(__file__).resolve().parents[2]


def test_the_results_are_those_of_the_tracked_tables() -> None:
    text = (ROOT / "README.md").read_text()
    assert text == readme.with_results(text, readme.results_table(ROOT)), (
        "README.md is stale: python -m causaliqa.report.readme"
    )


def test_every_linked_file_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_two_commands_are_named() -> None:
    text = (ROOT / "README.md").read_text()
    assert "make reproduce" in text
    assert "make test" in text
