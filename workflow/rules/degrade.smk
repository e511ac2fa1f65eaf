# Pristine images -> every distortion type and severity, in shards with a manifest.


rule degrade:
    input:
        manifest="data/raw/{dataset}/manifest.csv",
        images="data/raw/{dataset}/images",
        code=stage_code("degrade"),
    output:
        manifest="data/degraded/{dataset}/manifest.parquet",
        shards=directory("data/degraded/{dataset}/shards"),
    log:
        "logs/degrade/{dataset}.log",
    benchmark:
        "logs/benchmarks/degrade/{dataset}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: PROCESSES
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        raw=subpath(input.manifest, parent=True),
        out=subpath(output.manifest, parent=True),
        degrade=section("degrade"),
    message:
        "Degrading {wildcards.dataset} with {threads} processes (seconds a reference)"
    # One thread a process: sums in a fixed order, and no more threads than processes.
    shell:
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
        " python -m causaliqa degrade {params.raw:q} --out {params.out:q} --params {params.degrade:q} --jobs {threads}"
        " &> {log:q}"


rule stage_degrade:
    input:
        every_dataset("data/degraded/{dataset}/manifest.parquet"),
        every_dataset("data/degraded/{dataset}/shards"),
    localrule: True
    message:
        "Stage degrade is complete"
