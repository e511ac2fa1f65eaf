# Registry entry -> verified images, a manifest, splits; and what a second look at all of it finds.


rule fetch:
    input:
        # An edit of the registry fetches only the datasets whose entry changed: see params.
        registry=ancient("data/registry.yaml"),
        own=own_files,
        code=stage_code("fetch"),
    output:
        manifest="data/raw/{dataset}/manifest.csv",
        about="data/raw/{dataset}/dataset.json",
        splits="data/raw/{dataset}/splits.json",
        images=directory("data/raw/{dataset}/images"),
    log:
        "logs/fetch/{dataset}.log",
    benchmark:
        "logs/benchmarks/fetch/{dataset}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: PROCESSES
    resources:
        mem_mb=2000,
        runtime=1440,
    params:
        out=subpath(output.manifest, parent=True),
        fetch=fetch_section,
        entry=registry_entry,
    message:
        "Fetching {wildcards.dataset} (seconds if it is bundled, else as long as the download; progress: tail -f {log})"
    shell:
        "python -m causaliqa fetch {wildcards.dataset} --registry {input.registry:q} --out {params.out:q}"
        " --params {params.fetch:q} --jobs {threads} &> {log:q}"


rule validate:
    input:
        manifest="data/raw/{dataset}/manifest.csv",
        about="data/raw/{dataset}/dataset.json",
        splits="data/raw/{dataset}/splits.json",
        images="data/raw/{dataset}/images",
        code=stage_code("validate"),
    output:
        "results/validation/{dataset}.json",
    log:
        "logs/validate/{dataset}.log",
    benchmark:
        "logs/benchmarks/validate/{dataset}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: PROCESSES
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        raw=subpath(input.manifest, parent=True),
    message:
        "Verifying {wildcards.dataset}, every image of it (a minute for 3,000 images)"
    shell:
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1"
        " python -m causaliqa validate {params.raw:q} --out {output:q} --jobs {threads} &> {log:q}"


rule stage_fetch:
    input:
        every_fetched("data/raw/{dataset}/manifest.csv"),
        every_fetched("data/raw/{dataset}/dataset.json"),
        every_fetched("data/raw/{dataset}/splits.json"),
        every_fetched("data/raw/{dataset}/images"),
        every_fetched("results/validation/{dataset}.json"),
    localrule: True
    params:
        fetch=section("fetch"),
    message:
        "Stage fetch is complete"
