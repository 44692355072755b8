"""Rule corpus: read the request, call the stage."""

from unimontage.stages.corpus import corpus
from unimontage.stages.request import run

run(corpus, snakemake)  # noqa: F821
