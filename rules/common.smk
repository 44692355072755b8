# What the rules share: the checked configuration, its plan, where files are. No rules here.
import sys
from pathlib import Path

from snakemake.settings.types import DeploymentMethod

from unimontage import image
from unimontage.config import load_config
from unimontage.dag.exhibits import captions, exhibits
from unimontage.dag.failures import failures, failures_text
from unimontage.dag.fillers import fillers
from unimontage.dag.fingerprint import fingerprint
from unimontage.dag.history import refusal, remember
from unimontage.dag.inputs import Inputs
from unimontage.dag.legality import check
from unimontage.dag.params import Params, plain
from unimontage.dag.paths import Paths
from unimontage.dag.plan import Plan
from unimontage.dag.resources import gigabytes, minutes
from unimontage.dag.site import refuse_orphans
from unimontage.dag.targets import Targets

experiment = load_config(config)
check(experiment)
plan = Plan(experiment)
paths = Paths(f"{experiment.results}/{experiment.run}")
inputs = Inputs(plan, paths)
params_of = Params(plan)
targets = Targets(plan, paths)
compute = experiment.containers.compute
deployment = workflow.deployment_settings
if workflow.output_settings.dryrun and not image.runtime():  # a plan needs no images, but Snakemake would refuse
    deployment.deployment_method = set(deployment.deployment_method) - {DeploymentMethod.APPTAINER}
in_images = DeploymentMethod.APPTAINER in deployment.deployment_method
image.ask(compute if in_images else None)
if workflow.is_main_process:  # before Snakemake looks for work: it may find none, and call old results up to date
    refused = refusal(experiment)
    if refused and not workflow.output_settings.dryrun:
        raise refused
    if refused:  # a dry run tells what the change would repeat
        print(f"note: a run will be refused: {refused}", file=sys.stderr)
    elif experiment.adopt and not workflow.output_settings.dryrun:
        remember(experiment)
target_labels = {name: f"{{{name}}}" for name in ("comparison", "dataset", "task", "protocol")}


wildcard_constraints:
    comparison="|".join(plan.active()) or "none",
    dataset="|".join(experiment.datasets),
    recipe="|".join(experiment.recipes) or "none",
    arm="|".join(experiment.arms) or "none",
    protocol="(paper|strict|seed)[a-z0-9_]*",
    task="[a-z0-9_]+",
    subject="[A-Za-z0-9]+",
    subjects="[A-Za-z0-9+]+",
    corpus="[a-z0-9_+]+",
    holdout=r"all|none|training-subjects|without-group-\d+",
    compressor="compressor-[0-9a-f]{8}",
    selection="[a-z0-9_]+-[a-z0-9]+pct-[0-9a-f]{8}",
    seed=r"\d+",


onstart:  # Snakemake keeps the last of several
    if in_images and workflow.is_main_process:
        image.inspect(compute)
    if workflow.executor_plugin.name == "slurm":
        refuse_orphans(workflow.executor_settings.jobname_prefix, workflow.workdir_init)
    remember(experiment)


onerror:
    for path in log:
        print(failures_text(failures(Path(path).read_text(errors="replace"))), file=sys.stderr)
