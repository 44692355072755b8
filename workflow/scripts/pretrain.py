"""Rule pretrain: read the request, call the stage."""

from unimontage.stages.pretrain import pretrain
from unimontage.stages.request import run

run(pretrain, snakemake)  # noqa: F821
