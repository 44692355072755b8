"""Rule locate: read the request, call the stage."""

from unimontage.stages.locate import locate
from unimontage.stages.request import run

run(locate, snakemake)  # noqa: F821
