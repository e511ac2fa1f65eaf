"""The Snakemake DAG as plain data."""

from __future__ import annotations

import contextlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from causaliqa.config import Params
from causaliqa.errors import WorkflowError

#: Prefix of the target rule that ends each file of workflow/rules.
TARGET = "stage_"


@dataclass(frozen=True)
class Job:
    """One job of the pipeline; paths are relative to the project root."""

    rule: str
    stage: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    sections: frozenset[str]
    command: str | None


@dataclass(frozen=True)
class Dag:
    """Every job of the whole pipeline, as if nothing had been made yet.

    Attributes
    ----------
    jobs : the jobs.
    rules : stage to the names of the rules in its file, in the file's order; stages that make nothing are left out.
    rule_files : stage to its rule file.
    shared : workflow files that every stage depends on.
    """

    jobs: tuple[Job, ...]
    rules: dict[str, tuple[str, ...]]
    rule_files: dict[str, str]
    shared: tuple[str, ...]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages in the order of the Snakefile."""
        return tuple(self.rules)

    def maker(self) -> dict[str, Job]:
        """Return the job that makes each output."""
        return {path: job for job in self.jobs for path in job.outputs}


def build_dag(root: Path) -> Dag:
    """Build the DAG of the workflow in `root`.

    Snakemake offers no public way to iterate over jobs; its private attributes are used here and nowhere else.

    Raises
    ------
    WorkflowError
        If there is no Snakefile or the workflow cannot be built; the message is Snakemake's.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import DAGSettings, OutputSettings, ResourceSettings

    root = Path(root).resolve()
    snakefile = root / "Snakefile"
    if not snakefile.is_file():
        raise WorkflowError(f"{snakefile}: no such file; run the command in the project's folder")
    before, environment = Path.cwd(), dict(os.environ)
    heard = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(heard),
            contextlib.redirect_stderr(heard),
            SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api,
        ):
            opened = api.workflow(resource_settings=ResourceSettings(cores=1), snakefile=snakefile, workdir=root)
            rules = list(opened._workflow.rules)
            targets = {"all", *(rule.name for rule in rules if rule.name.startswith(TARGET))}
            # printrulegraph is the lightest public call that builds the graph.
            opened.dag(DAGSettings(targets=targets, forceall=True)).printrulegraph()
            jobs = list(opened._workflow.dag.jobs)
    except SystemExit as error:
        raise WorkflowError(_last_line(heard.getvalue()) or f"{snakefile}: {error}") from None
    except Exception as error:
        raise WorkflowError(f"{snakefile}: cannot be built: {' '.join(str(error).split())}") from None
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)

    def stage_of(rule: object) -> str:
        return Path(str(rule.snakefile)).stem  # type: ignore[attr-defined]

    plain = tuple(
        sorted(
            (
                Job(
                    rule=job.rule.name,
                    stage=stage_of(job.rule),
                    inputs=tuple(str(path) for path in job.input),
                    outputs=tuple(str(path) for path in job.output),
                    sections=_sections(job),
                    command=job.shellcmd,
                )
                for job in jobs
                if job.rule.name != "all"
            ),
            key=lambda job: (job.stage, job.rule, job.outputs),
        )
    )
    grouped: dict[str, list[str]] = {}
    for rule in rules:
        if rule.name != "all":
            grouped.setdefault(stage_of(rule), []).append(rule.name)
    files = {stage_of(rule): Path(str(rule.snakefile)).relative_to(root).as_posix() for rule in rules}
    # A stage that makes nothing under this configuration (no deep metric, no weights) is none.
    makers = {job.stage for job in plain if job.outputs}
    stages = {stage: tuple(names) for stage, names in grouped.items() if stage in makers}
    return Dag(
        jobs=tuple(job for job in plain if job.stage in makers),
        rules=stages,
        rule_files={stage: files[stage] for stage in stages},
        shared=("Snakefile", "workflow/rules/common.smk"),
    )


def _sections(job: object) -> frozenset[str]:
    """Return the sections of params.yaml among a job's params: those named like one, which hold it as JSON."""
    named = {name: value for name, value in job.params.items() if name in Params.model_fields}  # type: ignore[attr-defined]
    for name, value in named.items():
        if not str(value).startswith("{"):
            raise WorkflowError(
                f"rule {job.rule.name}: params.{name} is named like a section of params.yaml"  # type: ignore[attr-defined]
                " and must hold it as JSON; give it another name"
            )
    return frozenset(named)


def _last_line(text: str) -> str:
    lines = [line.removeprefix("error: ") for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
