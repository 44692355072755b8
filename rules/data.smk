# Native files: synthetic stand-ins, or the user's own, found and hashed.


rule twin:
    """Write the synthetic stand-in of a dataset in its native file format."""
    output:
        marker=paths.twin,
    params:
        dataset="{dataset}",
        subjects=params_of.subjects,
        sessions=params_of.sessions,
        config=params_of.dataset,
        code=params_of.dataset_code("stages.locate"),
    log:
        paths.log("twin", "dataset"),
    benchmark:
        paths.benchmark("twin", "dataset")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/twin.py"


rule locate:
    """Find a subject's native files, or fetch them where the dataset is open and the configuration says so."""
    input:
        unpack(inputs.marker),
    output:
        manifest=paths.source,
    params:
        dataset="{dataset}",
        subject="{subject}",
        sessions=params_of.sessions,
        config=params_of.dataset,
        code=params_of.dataset_code("stages.locate"),
    log:
        paths.log("locate", "dataset", "subject"),
    benchmark:
        paths.benchmark("locate", "dataset", "subject")
    resources:
        mem_mb=gigabytes(1),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/locate.py"
