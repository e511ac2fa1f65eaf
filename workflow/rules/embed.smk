# Model + degraded and labelled sets -> masked degradation features of every pair, and what the model's interventions do.
INTERVENTIONS = "results/interventions/{scenario}/{variant}/{seed}"
# What says how far the disentanglement holds.
PROOFS = [
    f"{INTERVENTIONS}/{name}"
    for name in (
        "reconstruction.csv",
        "probes.csv",
        "variance.csv",
        "mask.csv",
        "mask.safetensors",
        "mask.json",
    )
]


rule embed:
    input:
        model="results/pretrain/{scenario}/{variant}/{seed}/model.safetensors",
        card="results/pretrain/{scenario}/{variant}/{seed}/model.json",
        pairs=pairs_of,
        code=stage_code("embed"),
    output:
        features="results/embed/{scenario}/{variant}/{seed}/{dataset}.parquet",
    log:
        "logs/embed/{scenario}/{variant}/{seed}/{dataset}.log",
    benchmark:
        "logs/benchmarks/embed/{scenario}/{variant}/{seed}/{dataset}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        model=subpath(input.model, parent=True),
        pairs=folder_of("pairs"),
        embed=section("embed"),
    message:
        "Embedding {wildcards.dataset} with {wildcards.scenario}/{wildcards.variant}/{wildcards.seed} (seconds a reference)"
    shell:
        "python -m causaliqa embed {params.model:q} {params.pairs:q} --out {output.features:q}"
        " --params {params.embed:q} &> {log:q}"


rule interventions:
    input:
        model="results/pretrain/{scenario}/{variant}/{seed}/model.safetensors",
        card="results/pretrain/{scenario}/{variant}/{seed}/model.json",
        manifests=every_dataset("data/degraded/{dataset}/manifest.parquet"),
        shards=every_dataset("data/degraded/{dataset}/shards"),
        code=stage_code("interventions"),
    output:
        images="results/interventions/{scenario}/{variant}/{seed}/interventions.safetensors",
        about="results/interventions/{scenario}/{variant}/{seed}/interventions.json",
        numbers="results/interventions/{scenario}/{variant}/{seed}/numbers.csv",
        proofs=PROOFS,
    log:
        "logs/interventions/{scenario}/{variant}/{seed}.log",
    benchmark:
        "logs/benchmarks/interventions/{scenario}/{variant}/{seed}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        model=subpath(input.model, parent=True),
        degraded=folders("manifests"),
        out=subpath(output.images, parent=True),
    message:
        "Intervening with {wildcards.scenario}/{wildcards.variant}/{wildcards.seed} (a minute)"
    shell:
        "python -m causaliqa interventions {params.model:q} {params.degraded:q} --out {params.out:q} &> {log:q}"


rule stage_embed:
    input:
        expand(
            "results/embed/{scenario}/{variant}/{seed}/{dataset}.parquet",
            scenario=SCENARIOS,
            variant=VARIANTS,
            seed=SEEDS,
            dataset=[*DATASETS, *LABELLED],
        ),
        every_model(
            "results/interventions/{scenario}/{variant}/{seed}/interventions.safetensors"
        ),
        every_model(
            "results/interventions/{scenario}/{variant}/{seed}/interventions.json"
        ),
        every_model("results/interventions/{scenario}/{variant}/{seed}/numbers.csv"),
        every_model(PROOFS),
    localrule: True
    message:
        "Stage embed is complete"
