# Registry of weights -> verified, converted weights of the deep metrics that are configured; none, no job.


rule weights:
    input:
        # An edit of the registry fetches only the weights whose entry changed: see params.
        registry=ancient("data/weights.yaml"),
        code=stage_code("weights"),
    output:
        tensors="data/weights/{weights}.safetensors",
        card="data/weights/{weights}.json",
    log:
        "logs/weights/{weights}.log",
    benchmark:
        "logs/benchmarks/weights/{weights}.tsv"
    wildcard_constraints:
        weights=r"[a-z0-9_]+",
    conda:
        "../envs/causaliqa.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        out=subpath(output.tensors, parent=True),
        # The entry of these weights: editing another one does not fetch them again.
        entry=lambda wildcards: json.dumps(
            read_yaml(Path("data/weights.yaml")).get(wildcards.weights)
        ),
    message:
        "Fetching weights {wildcards.weights} (as long as the download)"
    shell:
        "python -m causaliqa weights fetch {wildcards.weights} --registry {input.registry:q} --out {params.out:q}"
        " &> {log:q}"


rule stage_weights:
    input:
        expand(
            ["data/weights/{weights}.safetensors", "data/weights/{weights}.json"],
            weights=sorted({*WEIGHTS, *LABELLED_WEIGHTS, *STEM_WEIGHTS}),
        ),
    localrule: True
    message:
        "Stage weights is complete"
