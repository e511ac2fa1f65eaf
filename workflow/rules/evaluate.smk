# Score tables -> tidy tables with intervals, and a few numbers for `dvc metrics`.
SCORES = (
    every_dataset("results/baselines/{dataset}/scores.parquet")
    + every_dataset("results/baselines/{dataset}/consensus.parquet")
    + every_model("results/project/{scenario}/{variant}/{seed}/scores.parquet")
    + every_model("results/regress/{scenario}/{variant}/{seed}/scores.parquet")
)


# Scores of the classical metrics on labelled sets; the members of the consensus are competitors there.
LABELLED_SCORES = (
    every_labelled("results/baselines/{dataset}/scores.parquet")
    + every_labelled("results/baselines/{dataset}/members.parquet")
    + every_labelled("results/baselines/{dataset}/consensus.parquet")
)


rule evaluate:
    input:
        scores=SCORES,
        labelled_scores=LABELLED_SCORES,
        labelled_manifests=every_labelled("data/raw/{dataset}/manifest.csv"),
        labelled_about=every_labelled("data/raw/{dataset}/dataset.json"),
        labelled_splits=every_labelled("data/raw/{dataset}/splits.json"),
        # Per-image scores and whole-set correlations that others published.
        published=[item.csv for item in PARAMS.evaluate.published.values()],
        literature="data/published.yaml",
        manifests=every_dataset("data/degraded/{dataset}/manifest.parquet"),
        members=every_dataset("results/baselines/{dataset}/members.parquet"),
        code=stage_code("evaluate"),
    output:
        report(
            "results/evaluate/methods.csv",
            caption="../report/methods.rst",
            category="Tables",
        ),
        report(
            "results/evaluate/severity.csv",
            caption="../report/severity.rst",
            category="Tables",
        ),
        report(
            "results/evaluate/opinions.csv",
            caption="../report/opinions.rst",
            category="Tables",
        ),
        report(
            "results/evaluate/few_label.csv",
            caption="../report/few_label.rst",
            category="Tables",
        ),
        correlations="results/evaluate/correlations.parquet",
        opinion_free="results/evaluate/opinion_free.parquet",
        severity="results/evaluate/severity.parquet",
        fits="results/evaluate/fits.parquet",
        few_label="results/evaluate/few_label.parquet",
        opinions="results/evaluate/opinions.parquet",
        comparisons="results/evaluate/comparisons.parquet",
        few_label_draws="results/evaluate/few_label_draws.parquet",
        roc="results/evaluate/roc.parquet",
        roc_comparisons="results/evaluate/roc_comparisons.parquet",
        splits="results/evaluate/splits.parquet",
        split_values="results/evaluate/split_values.parquet",
        literature="results/evaluate/literature.parquet",
        gmad="results/evaluate/gmad.parquet",
        run="results/evaluate/run.json",
        metrics="results/metrics.json",
    log:
        "logs/evaluate.log",
    benchmark:
        "logs/benchmarks/evaluate.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        scores=options("--scores", "scores"),
        labelled=options("--labelled", "labelled_manifests", folder=True),
        labelled_scores=options("--labelled-scores", "labelled_scores"),
        manifests=options("--manifest", "manifests"),
        members=options("--members", "members"),
        out=subpath(output.run, parent=True),
        evaluate=section("evaluate"),
    message:
        "Evaluating every method on the test images (a few minutes)"
    shell:
        "python -m causaliqa evaluate {params.scores:q} {params.manifests:q} {params.members:q}"
        " {params.labelled:q} {params.labelled_scores:q} --literature {input.literature:q} --out {params.out:q}"
        " --metrics {output.metrics:q} --params {params.evaluate:q} &> {log:q}"


rule stage_evaluate:
    input:
        rules.evaluate.output,
    localrule: True
    message:
        "Stage evaluate is complete"
