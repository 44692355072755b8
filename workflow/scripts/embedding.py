"""Rule embedding: read the request, call the stage."""

from unimontage.stages.embedding import draw_embedding
from unimontage.stages.request import run

run(draw_embedding, snakemake)  # noqa: F821
