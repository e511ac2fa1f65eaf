# Degraded and labelled sets -> full-reference metrics, and the consensus that stands in for opinions.


rule baselines:
    input:
        pairs=pairs_of,
        # Empty without deep metrics.
        weights=weights_of,
        code=stage_code("baselines"),
    output:
        scores="results/baselines/{dataset}/scores.parquet",
        members="results/baselines/{dataset}/members.parquet",
        consensus="results/baselines/{dataset}/consensus.parquet",
    log:
        "logs/baselines/{dataset}.log",
    benchmark:
        "logs/benchmarks/baselines/{dataset}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: PROCESSES
    resources:
        # Each process holds its own networks and their maps.
        mem_mb=lambda wildcards: 16000 if weights_of(wildcards) else 4000,
        runtime=240,
    params:
        pairs=folder_of("pairs"),
        out=subpath(output.scores, parent=True),
        baselines=baselines_section,
    message:
        "Measuring {wildcards.dataset} with full-reference metrics, {threads} processes (seconds a reference)"
    # One thread a process: sums in a fixed order, and no more threads than processes.
    shell:
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
        " python -m causaliqa baselines {params.pairs:q} --out {params.out:q} --params {params.baselines:q}"
        " --jobs {threads} &> {log:q}"


rule stage_baselines:
    input:
        every_dataset("results/baselines/{dataset}/scores.parquet"),
        every_dataset("results/baselines/{dataset}/members.parquet"),
        every_dataset("results/baselines/{dataset}/consensus.parquet"),
        every_labelled("results/baselines/{dataset}/scores.parquet"),
        every_labelled("results/baselines/{dataset}/members.parquet"),
        every_labelled("results/baselines/{dataset}/consensus.parquet"),
    localrule: True
    message:
        "Stage baselines is complete"
