# Tables, features and interventions -> notebooks, pages that open offline, figures and tables.
PAGES = [name for name in NOTEBOOKS if name != "audit"]


rule report:
    input:
        template="workflow/notebooks/{notebook}.ipynb",
        evaluate=rules.evaluate.output,
        scores=SCORES,
        features=expand(
            "results/embed/{scenario}/{variant}/{seed}/{dataset}.parquet",
            scenario=SCENARIOS,
            variant=VARIANTS,
            seed=SEEDS,
            dataset=DATASETS,
        ),
        interventions=every_model(
            "results/interventions/{scenario}/{variant}/{seed}/interventions.safetensors"
        ),
        about=every_model(
            "results/interventions/{scenario}/{variant}/{seed}/interventions.json"
        ),
        numbers=every_model(
            "results/interventions/{scenario}/{variant}/{seed}/numbers.csv"
        ),
        proofs=every_model(PROOFS),
        history=every_model("results/pretrain/{scenario}/{variant}/{seed}/history.csv"),
        cards=every_model("results/pretrain/{scenario}/{variant}/{seed}/model.json"),
        validations=every_fetched("results/validation/{dataset}.json"),
        # Few-label and supervised heads on labelled sets.
        labelled=every_model(
            "results/regress/{scenario}/{variant}/{seed}/labelled.parquet"
        ),
        # Pictures of pairs of images on which two methods disagree.
        degraded=every_dataset("data/degraded/{dataset}/manifest.parquet"),
        shards=every_dataset("data/degraded/{dataset}/shards"),
        # A notebook may import from the package: its code counts too.
        code=stage_code(
            "report", *(f"workflow/notebooks/{name}.ipynb" for name in PAGES)
        ),
    output:
        html=report(
            "reports/html/{notebook}.html",
            caption="../report/page.rst",
            category="Reports",
        ),
        notebook="reports/notebooks/{notebook}.ipynb",
        figures=report(
            directory("reports/figures/{notebook}"),
            patterns=["{figure}.png"],
            caption="../report/figures.rst",
            category="Figures",
        ),
        tables=report(
            directory("reports/tables/{notebook}"),
            patterns=["{table}.csv"],
            caption="../report/tables.rst",
            category="Tables",
        ),
    log:
        "logs/report/{notebook}.log",
    benchmark:
        "logs/benchmarks/report/{notebook}.tsv"
    wildcard_constraints:
        notebook="|".join(PAGES),
    conda:
        "../envs/causaliqa.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        tables=lambda wildcards, input: os.path.dirname(input.evaluate[0]),
        out=subpath(output.html, ancestor=2),
        scores=options("--scores", "scores"),
        features=options("--features", "features"),
        interventions=options("--interventions", "interventions", folder=True),
        history=options("--history", "history"),
        cards=options("--model", "cards"),
        validations=options("--validation", "validations"),
        degraded=options("--degraded", "degraded", folder=True),
        labelled=options("--labelled", "labelled"),
        report=section("report"),
    message:
        "Rendering the report {wildcards.notebook} (a minute)"
    shell:
        "python -m causaliqa report {wildcards.notebook} --template {input.template:q} --evaluate {params.tables:q}"
        " {params.scores:q} {params.features:q} {params.interventions:q} {params.history:q} {params.cards:q}"
        " {params.validations:q} {params.degraded:q} {params.labelled:q}"
        " --out {params.out:q} --params {params.report:q} &> {log:q}"


if AUDIT:

    # Needs published scores only: the page is there long before any model is trained.
    rule report_audit:
        input:
            template="workflow/notebooks/audit.ipynb",
            audit=AUDIT,
            code=stage_code("report", "workflow/notebooks/audit.ipynb"),
        output:
            html=report(
                "reports/html/audit.html",
                caption="../report/audit.rst",
                category="Reports",
            ),
            notebook="reports/notebooks/audit.ipynb",
            figures=report(
                directory("reports/figures/audit"),
                patterns=["{figure}.png"],
                caption="../report/figures.rst",
                category="Figures",
            ),
            tables=report(
                directory("reports/tables/audit"),
                patterns=["{table}.csv"],
                caption="../report/tables.rst",
                category="Tables",
            ),
        log:
            "logs/report/audit.log",
        benchmark:
            "logs/benchmarks/report/audit.tsv"
        conda:
            "../envs/causaliqa.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            tables=folder_of("audit"),
            out=subpath(output.html, ancestor=2),
            report=section("report"),
        message:
            "Rendering the report audit (a minute)"
        shell:
            "python -m causaliqa report audit --template {input.template:q} --audit {params.tables:q}"
            " --out {params.out:q} --params {params.report:q} &> {log:q}"


rule stage_report:
    input:
        expand(
            [
                "reports/html/{notebook}.html",
                "reports/notebooks/{notebook}.ipynb",
                "reports/figures/{notebook}",
                "reports/tables/{notebook}",
            ],
            notebook=NOTEBOOKS,
        ),
    localrule: True
    message:
        "Stage report is complete"
