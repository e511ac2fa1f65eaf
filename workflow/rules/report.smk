# Tables, features and interventions -> notebooks, figures and tables.


rule report_benchmark:
    input:
        template="workflow/notebooks/benchmark.ipynb",
        evaluate=rules.evaluate.output,
        code=stage_code("report", "workflow/notebooks/benchmark.ipynb"),
    output:
        html="reports/html/benchmark.html",
        notebook="reports/notebooks/benchmark.ipynb",
    log:
        "logs/report/benchmark.log",
    conda:
        "../envs/causaliqa.yaml"
    params:
        report=section("report"),
    shell:
        "python -m causaliqa report benchmark &> {log:q}"


rule stage_report:
    input:
        rules.report_benchmark.output,
    localrule: True
    message:
        "Stage report is complete"
