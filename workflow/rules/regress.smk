# Features + labels -> few-label and supervised scores.


rule regress:
    input:
        model="results/pretrain/{scenario}/{variant}/{seed}/model.safetensors",
        card="results/pretrain/{scenario}/{variant}/{seed}/model.json",
        features=every_dataset(
            "results/embed/{{scenario}}/{{variant}}/{{seed}}/{dataset}.parquet"
        ),
        labels=every_dataset("results/baselines/{dataset}/consensus.parquet"),
        code=stage_code("regress"),
    output:
        scores="results/regress/{scenario}/{variant}/{seed}/scores.parquet",
    log:
        "logs/regress/{scenario}/{variant}/{seed}.log",
    benchmark:
        "logs/benchmarks/regress/{scenario}/{variant}/{seed}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        model=subpath(input.model, parent=True),
        labels=options("--labels", "labels"),
        out=subpath(output.scores, parent=True),
        regress=section("regress"),
    message:
        "Regressing on the features of {wildcards.scenario}/{wildcards.variant}/{wildcards.seed} (under a minute)"
    shell:
        "python -m causaliqa regress {params.model:q} {input.features:q} {params.labels:q} --out {params.out:q}"
        " --params {params.regress:q} &> {log:q}"


rule stage_regress:
    input:
        every_model("results/regress/{scenario}/{variant}/{seed}/scores.parquet"),
    localrule: True
    message:
        "Stage regress is complete"
