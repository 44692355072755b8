"""Rule corpus: read the request, call the stage."""

from unimontage.stages.request import run
from unimontage.stages.split import corpus

run(corpus, snakemake)  # noqa: F821
