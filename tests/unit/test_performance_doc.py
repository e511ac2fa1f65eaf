import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", ROOT / f"benchmarks/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "begin", "end", "rows"),
    [
        ("metrics", "<!-- table -->", "<!-- end of table -->", 15),
        ("score", "<!-- score -->", "<!-- end of score -->", 12),
        ("training", "<!-- training -->", "<!-- end of training -->", 8),
    ],
)
def test_the_page_shows_the_stored_measurement(name: str, begin: str, end: str, rows: int) -> None:
    table = benchmark(name).table(ROOT / f"benchmarks/results/{name}.csv")
    assert table.count("\n") > rows
    assert f"{begin}\n{table}\n{end}" in (ROOT / "docs/performance.md").read_text()


def test_the_trained_metric_is_measured_beside_its_rivals() -> None:
    table = benchmark("score").table(ROOT / "benchmarks/results/score.csv")
    for rival in benchmark("score").RIVALS:
        assert f"| {rival} | causaliqa | 512 × 384 |" in table
        assert f"| {rival} | piq " in table
