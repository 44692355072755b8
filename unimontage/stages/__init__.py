"""One function a rule: read files, call the pure core, write files."""

from unimontage import image

image.enter()  # before anything heavy is imported, which might not be the image's
