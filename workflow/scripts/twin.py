"""Rule twin: read the request, call the stage."""

from unimontage.stages.locate import write_twin
from unimontage.stages.request import run

run(write_twin, snakemake)  # noqa: F821
