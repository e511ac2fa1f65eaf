# Published per-image scores -> every value, rank and interval under every protocol in use. No jobs without audit.scores.
AUDIT = []

if PARAMS.audit.scores:
    from causaliqa.evaluate import audit_stage

    try:
        AUDIT_INPUTS = list(map(str, audit_stage.inputs(PARAMS.audit)))
    except CausalIQAError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    AUDIT = [f"results/audit/{name}" for name in audit_stage.outputs(PARAMS.audit)]

    rule audit:
        input:
            published=AUDIT_INPUTS,
            code=stage_code("audit"),
        output:
            tables=AUDIT,
        log:
            "logs/audit.log",
        benchmark:
            "logs/benchmarks/audit.tsv"
        conda:
            "../envs/causaliqa.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            scores=PARAMS.audit.scores,
            out=lambda wildcards, output: os.path.dirname(output.tables[0]),
            audit=section("audit"),
        message:
            "Auditing published scores under every protocol (two minutes)"
        shell:
            "python -m causaliqa audit {params.scores:q} --no-figures --out {params.out:q} --params {params.audit:q}"
            " &> {log:q}"


rule stage_audit:
    input:
        AUDIT,
    localrule: True
    message:
        "Stage audit is complete"
        if AUDIT
        else "Stage audit has nothing to do: audit.scores is not set"
