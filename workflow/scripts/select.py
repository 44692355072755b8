"""Rule select: read the request, call the stage."""

from unimontage.stages.request import run
from unimontage.stages.select import select

run(select, snakemake)  # noqa: F821
