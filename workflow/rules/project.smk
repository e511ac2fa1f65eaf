# Features -> label-free scores, fitted on the synthetic train pairs of the model's scenario.


rule project:
    input:
        model="results/pretrain/{scenario}/{variant}/{seed}/model.safetensors",
        card="results/pretrain/{scenario}/{variant}/{seed}/model.json",
        features=every_dataset(
            "results/embed/{{scenario}}/{{variant}}/{{seed}}/{dataset}.parquet"
        )
        + every_labelled(
            "results/embed/{{scenario}}/{{variant}}/{{seed}}/{dataset}.parquet"
        ),
        # Empty but for the projection that is anchored in it.
        consensus=consensus_of_scenario,
        code=stage_code("project"),
    output:
        metric="results/project/{scenario}/{variant}/{seed}/metric.safetensors",
        scores="results/project/{scenario}/{variant}/{seed}/scores.parquet",
    log:
        "logs/project/{scenario}/{variant}/{seed}.log",
    benchmark:
        "logs/benchmarks/project/{scenario}/{variant}/{seed}.tsv"
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        model=subpath(input.model, parent=True),
        out=subpath(output.scores, parent=True),
        consensus=options("--consensus", "consensus"),
        project=section("project"),
        embed=section("embed"),
    message:
        "Projecting the features of {wildcards.scenario}/{wildcards.variant}/{wildcards.seed} (seconds)"
    shell:
        "python -m causaliqa project {params.model:q} {input.features:q} --out {params.out:q}"
        " {params.consensus:q} --params {params.project:q} --embed {params.embed:q} &> {log:q}"


rule stage_project:
    input:
        every_model("results/project/{scenario}/{variant}/{seed}/metric.safetensors"),
        every_model("results/project/{scenario}/{variant}/{seed}/scores.parquet"),
    localrule: True
    message:
        "Stage project is complete"
