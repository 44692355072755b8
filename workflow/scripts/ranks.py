"""Rule ranks: read the request, call the stage."""

from unimontage.stages.ranks import rank_target
from unimontage.stages.request import run

run(rank_target, snakemake)  # noqa: F821
