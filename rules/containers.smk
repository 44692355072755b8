# What jobs find around themselves on a node, with and without a GPU: snakemake containers_check.


rule environment:
    """Versions, origin and devices as a job without a GPU sees them, held against the lock."""
    output:
        report=temp(paths.environment("cpu")),  # every call looks anew
    params:
        code=fingerprint("stages.environment"),
    log:
        paths.log("environment"),
    benchmark:
        paths.benchmark("environment")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(10),
    container:
        compute
    script:
        "../workflow/scripts/environment.py"


use rule environment as environment_on_gpu with:
    output:
        report=temp(paths.environment("gpu")),
    params:
        code=fingerprint("stages.environment"),
    log:
        paths.log("environment_on_gpu"),
    benchmark:
        paths.benchmark("environment_on_gpu")
    resources:
        gpu=1,
        mem_mb=gigabytes(4),
        runtime=minutes(10),
