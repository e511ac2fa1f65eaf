# What every stage shares: the validated configuration, the fan-out, the code a job depends on.
import json
import os
import re
import sys
from pathlib import Path

from snakemake.utils import validate

# Jobs run this workspace's own code (DVC copies the workspace for an experiment) with the interpreter that runs
# Snakemake, so that nothing has to be activated.
SOURCE = Path(workflow.basedir, "src")
sys.path.insert(0, str(SOURCE))
for variable, folder in {
    "PYTHONPATH": SOURCE,
    "PATH": Path(sys.executable).parent,
}.items():
    others = [item for item in os.environ.get(variable, "").split(os.pathsep) if item]
    os.environ[variable] = os.pathsep.join(dict.fromkeys([str(folder), *others]))

from causaliqa.baselines.deep import needed_weights
from causaliqa.config import parse_params, read_yaml
from causaliqa.errors import CausalIQAError
from causaliqa.workflow.closure import code_of
from causaliqa.workflow.lock import claim, release_if_dead

# A killed run leaves Snakemake's lock behind: the next run goes on without `--unlock`.
if release_if_dead(Path.cwd()):
    sys.stderr.write("the previous run was killed; its lock is removed\n")


onstart:
    claim(Path.cwd())


try:
    PARAMS = parse_params(
        config, " + ".join(map(str, ["params.yaml", *workflow.overwrite_configfiles]))
    )
except CausalIQAError as error:
    sys.stderr.write(f"error: {error}\n")
    sys.exit(1)

# The published schema (editors use it) and the models agree; a test keeps the file fresh.
validate(
    PARAMS.model_dump(mode="json"),
    "../schemas/params.schema.json",
    set_default=False,
)

# Pristine sets are degraded and trained on; labelled sets are what methods are judged by.
DATASETS = PARAMS.fetch.datasets
LABELLED = PARAMS.fetch.labelled
FETCHED = [*DATASETS, *LABELLED, *PARAMS.fetch.blind]
SCENARIOS = list(PARAMS.pretrain.scenarios)
VARIANTS = list(PARAMS.pretrain.variants)
SEEDS = PARAMS.base.seeds
NOTEBOOKS = PARAMS.pages
# Weights that metrics of every dataset need, and those of metrics for labelled sets.
WEIGHTS = needed_weights([*PARAMS.baselines.metrics, *PARAMS.baselines.consensus])
LABELLED_WEIGHTS = needed_weights(PARAMS.baselines.labelled_metrics)
STEM_WEIGHTS = [
    name
    for variant in VARIANTS
    for name in PARAMS.pretrain.variant(variant).stem_weights
]
# Processes that one job may spread images over; the result does not depend on it.
PROCESSES = max(1, min(workflow.cores or 1, 8))


wildcard_constraints:
    dataset="|".join(map(re.escape, FETCHED)),
    scenario="|".join(map(re.escape, SCENARIOS)),
    variant="|".join(map(re.escape, VARIANTS)),
    seed=r"\d+",
    notebook="|".join(NOTEBOOKS),


def section(name):
    """One section of the configuration as JSON, for `--params`. A rule's params are named like their sections."""
    return getattr(PARAMS, name).model_dump_json()


def pretrain_section(wildcards):
    """The section of one model: another scenario, variant or seed added later does not retrain this one."""
    return PARAMS.pretrain.model_copy(
        update={
            "scenarios": {
                wildcards.scenario: PARAMS.pretrain.scenarios[wildcards.scenario]
            },
            "variants": {
                wildcards.variant: PARAMS.pretrain.variants[wildcards.variant]
            },
        }
    ).model_dump_json()


def base_section(wildcards):
    """Section base of one model, see pretrain_section."""
    return PARAMS.base.model_copy(
        update={"seeds": [int(wildcards.seed)]}
    ).model_dump_json()


def stage_code(verb, *more):
    """Source files that a verb of the command line can reach: editing any of them reruns its jobs."""
    try:
        files = code_of(SOURCE / "causaliqa", f"causaliqa.cli.{verb}", *map(Path, more))
    except CausalIQAError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    return [os.path.relpath(path) for path in files]


def datasets_of(pattern):
    """Input function: `pattern` for each dataset of the job's scenario."""
    return lambda wildcards: expand(
        pattern, dataset=PARAMS.pretrain.scenarios[wildcards.scenario]
    )


def folders(name):
    """Params function: the folders that hold the files of input `name`."""
    return lambda wildcards, input: [os.path.dirname(path) for path in input[name]]


def folder_of(name):
    """Params function: the folder that holds the first file of input `name`."""
    return lambda wildcards, input: os.path.dirname(input[name][0])


def options(option, name, folder=False):
    """Params function: `option` before each file of input `name`, or before the folder that it lies in."""
    return lambda wildcards, input: [
        part
        for path in input[name]
        for part in (option, os.path.dirname(path) if folder else path)
    ]


def every_dataset(pattern):
    """`pattern` for each pristine dataset."""
    return expand(pattern, dataset=DATASETS)


def every_labelled(pattern):
    """`pattern` for each labelled dataset."""
    return expand(pattern, dataset=LABELLED)


def every_fetched(pattern):
    """`pattern` for each dataset that is fetched, blind ones included."""
    return expand(pattern, dataset=FETCHED)


def pairs_of(wildcards):
    """Input function: the manifest and the images of a dataset's pairs, degraded or published; the manifest first."""
    if wildcards.dataset in LABELLED:
        names = ["manifest.csv", "dataset.json", "images"]
        return [f"data/raw/{wildcards.dataset}/{name}" for name in names]
    return [
        f"data/degraded/{wildcards.dataset}/{name}"
        for name in ("manifest.parquet", "shards")
    ]


def fetch_section(wildcards):
    """Section fetch of one dataset: another one added later does not fetch this one again."""
    name = wildcards.dataset
    own = {key: value for key, value in PARAMS.fetch.options.items() if key == name}
    return PARAMS.fetch.model_copy(
        update={"datasets": [name], "labelled": [], "blind": [], "options": own}
    ).model_dump_json()


def own_files(wildcards):
    """Input function: the table of a dataset that lies in a folder of the user's; editing it fetches it anew."""
    entry = read_yaml(Path("data/registry.yaml")).get(wildcards.dataset) or {}
    if entry.get("source") != "local":
        return []
    table = (entry.get("options") or {}).get("table", "labels.csv")
    return [path for path in [Path(entry["folder"], table)] if path.is_file()]


def baselines_section(wildcards):
    """Section baselines of one dataset: what is measured on labelled sets alone is no concern of the others."""
    own = PARAMS.baselines
    more = own.labelled_metrics if wildcards.dataset in LABELLED else []
    return own.model_copy(
        update={
            "metrics": list(dict.fromkeys([*own.metrics, *more])),
            "labelled_metrics": [],
        }
    ).model_dump_json()


def weights_of(wildcards):
    """Input function: files of the weights that a dataset's metrics need."""
    labelled = LABELLED_WEIGHTS if wildcards.dataset in LABELLED else []
    return expand(
        "data/weights/{weights}.safetensors", weights=sorted({*WEIGHTS, *labelled})
    )


def stem_weights(wildcards):
    """Input function: file of the weights that a variant's encoder looks through."""
    return expand(
        "data/weights/{weights}.safetensors",
        weights=PARAMS.pretrain.variant(wildcards.variant).stem_weights,
    )


def consensus_of_scenario(wildcards):
    """Input function: consensus scores of the scenario's sets, where a projection is anchored in them."""
    if "consensus" not in PARAMS.project.methods:
        return []
    return expand(
        "results/baselines/{dataset}/consensus.parquet",
        dataset=PARAMS.pretrain.scenarios[wildcards.scenario],
    )


def registry_entry(wildcards):
    """The registry's entry of one dataset: editing another entry does not fetch this one again."""
    return json.dumps(read_yaml(Path("data/registry.yaml")).get(wildcards.dataset))


def every_model(pattern):
    """`pattern` for each scenario, variant and seed."""
    return expand(pattern, scenario=SCENARIOS, variant=VARIANTS, seed=SEEDS)
