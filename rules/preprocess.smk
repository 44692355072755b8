# From native files to windows in microvolt, one job a subject.


rule preprocess:
    """Read, check, filter, resample and cut the recordings of a subject."""
    input:
        source=paths.source,
    output:
        windows=paths.windows,
        quality=paths.quality,
    params:
        dataset="{dataset}",
        subject="{subject}",
        sessions=params_of.sessions,
        channels=params_of.channels,
        preprocessing=params_of.preprocessing,
        length_s=params_of.length_s,
        step_s=params_of.step_s,
        code=params_of.dataset_code("stages.preprocess"),
    log:
        paths.log("preprocess", "dataset", "subject"),
    benchmark:
        paths.benchmark("preprocess", "dataset", "subject")
    threads: 2
    resources:
        mem_mb=gigabytes(8),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/preprocess.py"
