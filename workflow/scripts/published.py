"""Rule published: read the request, call the stage."""

from unimontage.stages.pooled import publish
from unimontage.stages.request import run

run(publish, snakemake)  # noqa: F821
