# Degraded sets of a scenario -> one disentanglement model a variant and seed.


rule pretrain:
    input:
        manifests=datasets_of("data/degraded/{dataset}/manifest.parquet"),
        shards=datasets_of("data/degraded/{dataset}/shards"),
        # Empty but for the stem imagenet.
        pretrained=stem_weights,
        code=stage_code("pretrain"),
    output:
        model="results/pretrain/{scenario}/{variant}/{seed}/model.safetensors",
        card="results/pretrain/{scenario}/{variant}/{seed}/model.json",
        history="results/pretrain/{scenario}/{variant}/{seed}/history.csv",
    log:
        "logs/pretrain/{scenario}/{variant}/{seed}.log",
    benchmark:
        "logs/benchmarks/pretrain/{scenario}/{variant}/{seed}.tsv"
    # The longest jobs go first: the others fill the gaps.
    priority: 50
    conda:
        "../envs/causaliqa.yaml"
    threads: PARAMS.base.threads
    resources:
        **({"gpu": 1} if PARAMS.base.device == "cuda" else {}),
        mem_mb=6000,
        runtime=720,
    params:
        degraded=folders("manifests"),
        out=subpath(output.model, parent=True),
        pretrain=pretrain_section,
        base=base_section,
    message:
        "Training {wildcards.scenario}/{wildcards.variant}, seed {wildcards.seed} (minutes; progress: tail -f {log})"
    shell:
        "python -m causaliqa pretrain {params.degraded:q} --out {params.out:q} --scenario {wildcards.scenario:q}"
        " --variant {wildcards.variant:q} --seed {wildcards.seed}"
        " --params {params.pretrain:q} --base {params.base:q} &> {log:q}"


rule stage_pretrain:
    input:
        every_model("results/pretrain/{scenario}/{variant}/{seed}/model.safetensors"),
        every_model("results/pretrain/{scenario}/{variant}/{seed}/model.json"),
        every_model("results/pretrain/{scenario}/{variant}/{seed}/history.csv"),
    localrule: True
    message:
        "Stage pretrain is complete"
