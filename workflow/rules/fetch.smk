# Registry entry -> verified images and a manifest.


rule fetch:
    input:
        registry="data/registry.yaml",
        code=stage_code("fetch"),
    output:
        manifest="data/raw/{dataset}/manifest.csv",
        images=directory("data/raw/{dataset}/images"),
    log:
        "logs/fetch/{dataset}.log",
    benchmark:
        "logs/benchmarks/fetch/{dataset}.tsv"
    retries: 2
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        out=subpath(output.manifest, parent=True),
    message:
        "Fetching {wildcards.dataset} (seconds if it is bundled, else as long as the download)"
    shell:
        "python -m causaliqa fetch {wildcards.dataset} --registry {input.registry:q} --out {params.out:q} &> {log:q}"


rule stage_fetch:
    input:
        every_dataset("data/raw/{dataset}/manifest.csv"),
        every_dataset("data/raw/{dataset}/images"),
    localrule: True
    params:
        fetch=section("fetch"),
    message:
        "Stage fetch is complete"
