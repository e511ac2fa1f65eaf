# Features + labels -> few-label and supervised scores; on labelled sets tests by split.


rule regress:
    input:
        model="results/pretrain/{scenario}/{variant}/{seed}/model.safetensors",
        card="results/pretrain/{scenario}/{variant}/{seed}/model.json",
        features=every_dataset(
            "results/embed/{{scenario}}/{{variant}}/{{seed}}/{dataset}.parquet"
        ),
        labels=every_dataset("results/baselines/{dataset}/consensus.parquet"),
        labelled_features=every_labelled(
            "results/embed/{{scenario}}/{{variant}}/{{seed}}/{dataset}.parquet"
        ),
        labelled_manifests=every_labelled("data/raw/{dataset}/manifest.csv"),
        labelled_about=every_labelled("data/raw/{dataset}/dataset.json"),
        labelled_splits=every_labelled("data/raw/{dataset}/splits.json"),
        projected="results/project/{scenario}/{variant}/{seed}/scores.parquet",
        code=stage_code("regress"),
    output:
        scores="results/regress/{scenario}/{variant}/{seed}/scores.parquet",
        labelled="results/regress/{scenario}/{variant}/{seed}/labelled.parquet",
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
        labelled=options("--labelled", "labelled_manifests", folder=True),
        labelled_features=options("--labelled-features", "labelled_features"),
        out=subpath(output.scores, parent=True),
        regress=section("regress"),
    message:
        "Regressing on the features of {wildcards.scenario}/{wildcards.variant}/{wildcards.seed} (a minute; minutes a labelled set)"
    shell:
        "python -m causaliqa regress {params.model:q} {input.features:q} {params.labels:q}"
        " {params.labelled:q} {params.labelled_features:q} --projected {input.projected:q} --out {params.out:q}"
        " --params {params.regress:q} &> {log:q}"


rule stage_regress:
    input:
        every_model("results/regress/{scenario}/{variant}/{seed}/scores.parquet"),
        every_model("results/regress/{scenario}/{variant}/{seed}/labelled.parquet"),
    localrule: True
    message:
        "Stage regress is complete"
