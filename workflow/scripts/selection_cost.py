"""Rule selection_cost: read the request, call the stage."""

from unimontage.stages.distilled import cost
from unimontage.stages.request import run

run(cost, snakemake)  # noqa: F821
