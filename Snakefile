# The pipeline: snakemake --cores all
#
# Snakemake owns how a thing is made; DVC owns which version it is. One file of workflow/rules is one DVC stage, and
# dvc.yaml is generated from this workflow (causaliqa workflow dvc --write). See docs/workflow.md.
from snakemake.utils import min_version

min_version("9.27")


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/degrade.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/project.smk"
include: "workflow/rules/regress.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/ship.smk"


rule all:
    default_target: True
    input:
        rules.stage_fetch.input,
        rules.stage_degrade.input,
        rules.stage_pretrain.input,
        rules.stage_embed.input,
        rules.stage_project.input,
        rules.stage_regress.input,
        rules.stage_weights.input,
        rules.stage_baselines.input,
        rules.stage_evaluate.input,
        rules.stage_audit.input,
        rules.stage_report.input,
    localrule: True
    message:
        "Everything is made; the pages to read are in reports/html"
