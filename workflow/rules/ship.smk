# A trained metric -> part of the package, with its card. No target of `all` and no stage of DVC: it is asked for by name,
# with the configuration that it shall be made by: snakemake --cores all ship_natural --configfile config/natural.yaml


rule ship_natural:
    input:
        # The first variant and seed of the configuration.
        metric=lambda wildcards: expand(
            "results/project/natural/{variant}/{seed}/metric.safetensors",
            variant=VARIANTS[0],
            seed=SEEDS[0],
        ),
        raw=lambda wildcards: expand(
            "data/raw/{dataset}/manifest.csv",
            dataset=PARAMS.pretrain.scenarios.get("natural", []),
        ),
        degraded=lambda wildcards: expand(
            "data/degraded/{dataset}/manifest.parquet",
            dataset=PARAMS.pretrain.scenarios.get("natural", []),
        ),
        code=stage_code("metric"),
    output:
        weights="src/causaliqa/weights/natural.safetensors",
        card="src/causaliqa/weights/natural.json",
    log:
        "logs/ship/natural.log",
    benchmark:
        "logs/benchmarks/ship/natural.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        out=subpath(output.weights, parent=True),
        configuration=PARAMS.model_dump_json(),
        command=" ".join(
            [
                "snakemake --cores all ship_natural",
                *(
                    f"--configfile {os.path.relpath(path)}"
                    for path in workflow.overwrite_configfiles
                ),
            ]
        ),
    message:
        "Packing the metric of photographs into the package (seconds)"
    shell:
        "python -m causaliqa metric pack {input.metric:q} --name natural --out {params.out:q}"
        " --params {params.configuration:q} --command {params.command:q} &> {log:q}"
