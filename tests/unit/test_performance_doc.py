import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_the_stored_measurement() -> None:
    spec = importlib.util.spec_from_file_location("benchmark_of_metrics", ROOT / "benchmarks/metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    table = module.table(ROOT / "benchmarks/results/metrics.csv")
    assert table.count("\n") > 15
    assert f"<!-- table -->\n{table}\n<!-- end of table -->" in (ROOT / "docs/performance.md").read_text()
