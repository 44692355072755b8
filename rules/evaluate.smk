# Scores and tables, all of them computed from saved predictions.


rule score:
    """Score every fold and seed of all arms and subjects on a target."""
    input:
        windows=inputs.dataset_windows,
        predictions=inputs.predictions,
    output:
        scores=paths.scores,
    params:
        arms=params_of.arms,
        subjects=params_of.subjects,
        threshold_inclusive=experiment.splits.threshold_inclusive,
        code=fingerprint("stages.evaluate"),
    log:
        paths.log("score", "comparison", "dataset", "task", "protocol"),
    benchmark:
        paths.benchmark("score", "comparison", "dataset", "task", "protocol")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/score.py"


rule table:
    """Results of a comparison, and each arm's difference from the reference arm."""
    input:
        scores=inputs.scores,
    output:
        csv=paths.table("csv"),
        html=report(
            paths.table("html"),
            caption="../workflow/report/results_table.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "results"},
        ),
        txt=paths.table("txt"),
        differences_csv=paths.table("csv", "differences"),
        differences_html=report(
            paths.table("html", "differences"),
            caption="../workflow/report/paired_differences.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "differences from the reference arm"},
        ),
    params:
        title=params_of.title,
        reference=params_of.reference,
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.evaluate"),
    log:
        paths.log("table", "comparison"),
    benchmark:
        paths.benchmark("table", "comparison")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/table.py"


rule contrast:
    """What leakage is worth: the paper's protocol minus the strict one, in points."""
    input:
        results=paths.table("csv"),
    output:
        csv=paths.table("csv", "leakage"),
        html=report(
            paths.table("html", "leakage"),
            caption="../workflow/report/protocol_contrast.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "what leakage is worth"},
        ),
        figure=report(
            paths.table("png", "leakage"),
            caption="../workflow/report/protocol_contrast.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "what leakage is worth, as a picture"},
        ),
    params:
        title=params_of.title,
        code=fingerprint("stages.evaluate"),
    log:
        paths.log("contrast", "comparison"),
    benchmark:
        paths.benchmark("contrast", "comparison")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/contrast.py"
