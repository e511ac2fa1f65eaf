"""Where Snakemake and DVC meet: the code a stage depends on, the generated dvc.yaml, record, sync and verify."""
