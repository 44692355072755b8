"""Rules environment and environment_on_gpu: read the request, call the stage."""

from unimontage.stages.environment import describe
from unimontage.stages.request import run

run(describe, snakemake)  # noqa: F821
