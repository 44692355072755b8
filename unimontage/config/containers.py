"""Containers: the images that jobs run in."""

from unimontage.config.base import Block


class Containers(Block):
    """Images that jobs run in when the profile asks for Apptainer."""

    compute: str = "containers/compute.sif"
    """Path or address of the image with the compute environment."""
