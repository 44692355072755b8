"""Rule efficiency: read the request, call the stage."""

from unimontage.stages.efficiency import measure
from unimontage.stages.request import run

run(measure, snakemake)  # noqa: F821
