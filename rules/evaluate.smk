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
        kept=params_of.kept_of_target,
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
        scores=inputs.scores,
    output:
        csv=paths.table("csv", "leakage"),
        html=report(
            paths.table("html", "leakage"),
            caption="../workflow/report/protocol_contrast.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "what leakage is worth"},
        ),
        txt=paths.table("txt", "leakage"),
        figure=report(
            paths.table("png", "leakage"),
            caption="../workflow/report/protocol_contrast.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "what leakage is worth, as a picture"},
        ),
    params:
        pairs=inputs.contrasted,
        title=params_of.title,
        evaluation=plain(experiment.evaluation),
        threshold_inclusive=experiment.splits.threshold_inclusive,
        code=fingerprint("stages.contrast"),
    log:
        paths.log("contrast", "comparison"),
    benchmark:
        paths.benchmark("contrast", "comparison")
    resources:
        mem_mb=gigabytes(8),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/contrast.py"


rule pooled:
    """Score a target over all its test windows together, subjects pooled."""
    input:
        scores=paths.scores,  # changes whenever a prediction does, and keeps the DAG small
    output:
        table=paths.pooled,
    params:
        windows=inputs.dataset_windows,
        predictions=inputs.predictions,
        arms=params_of.arms,
        reference=params_of.reference,
        threshold_inclusive=experiment.splits.threshold_inclusive,
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.pooled"),
    log:
        paths.log("pooled", "comparison", "dataset", "task", "protocol"),
    benchmark:
        paths.benchmark("pooled", "comparison", "dataset", "task", "protocol")
    resources:
        mem_mb=gigabytes(8),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/pooled.py"


rule nights:
    """The F1 of each sleep stage, and one night."""
    input:
        pooled=paths.pooled,
    output:
        classes=report(
            paths.figure("classes"),
            caption="../workflow/report/per_class_f1.rst",
            category="Sleep stages",
            labels=target_labels,
        ),
        hypnogram=report(
            paths.figure("hypnogram"),
            caption="../workflow/report/hypnogram.rst",
            category="Sleep stages",
            labels=target_labels,
        ),
    params:
        windows=inputs.dataset_windows,
        predictions=inputs.predictions,
        arms=params_of.arms,
        reference=params_of.reference,
        code=fingerprint("stages.pooled"),
    log:
        paths.log("nights", "comparison", "dataset", "task", "protocol"),
    benchmark:
        paths.benchmark("nights", "comparison", "dataset", "task", "protocol")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/nights.py"


rule published:
    """The article's tables with the run's numbers in them."""
    input:
        pooled=inputs.pooled,
    output:
        csv=paths.table("csv", "published"),
        html=report(
            paths.table("html", "published"),
            caption="../workflow/report/published_tables.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "the article's tables"},
        ),
        txt=paths.table("txt", "published"),
        budgets=report(
            paths.table("png", "budgets"),
            caption="../workflow/report/budget_curves.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "label budgets"},
        ),
    params:
        title=params_of.title,
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.pooled"),
    log:
        paths.log("published", "comparison"),
    benchmark:
        paths.benchmark("published", "comparison")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/published.py"


rule alignment_grid:
    """Scores by size of the channel alignment."""
    input:
        pooled=inputs.pooled,
    output:
        figure=report(
            paths.table("png", "alignment_grid"),
            caption="../workflow/report/alignment_grid.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "size of the channel alignment"},
        ),
    params:
        sizes=params_of.sizes,
        metric=experiment.evaluation.metric,
        code=fingerprint("stages.pooled"),
    log:
        paths.log("alignment_grid", "comparison"),
    benchmark:
        paths.benchmark("alignment_grid", "comparison")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/alignment_grid.py"


rule efficiency:
    """Parameters, operations, memory and latency of the networks that meet."""
    input:
        windows=inputs.first_windows,
    output:
        csv=paths.table("csv", "efficiency"),
        html=report(
            paths.table("html", "efficiency"),
            caption="../workflow/report/efficiency.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "size and speed"},
        ),
        txt=paths.table("txt", "efficiency"),
    params:
        datasets=params_of.target_datasets,
        arms=params_of.networks,
        starts=params_of.starts_of_networks,
        tasks=params_of.first_tasks,
        synthetic=plan.synthetic,
        title=params_of.title,
        code=params_of.efficiency_code,
    log:
        paths.log("efficiency", "comparison"),
    benchmark:
        paths.benchmark("efficiency", "comparison")
    threads: 1
    resources:
        gpu=1,
        mem_mb=gigabytes(16),
        runtime=minutes(60),
    container:
        compute
    script:
        "../workflow/scripts/efficiency.py"


rule distilled:
    """What training on a part of the windows is worth."""
    input:
        pooled=inputs.all_pooled,
    output:
        csv=paths.table("csv", "distilled"),
        html=report(
            paths.table("html", "distilled"),
            caption="../workflow/report/distill_tables.rst",
            category="Results",
            labels={"comparison": "{comparison}", "what": "the article's tables"},
        ),
        txt=paths.table("txt", "distilled"),
        curves=report(
            paths.table("png", "kept"),
            caption="../workflow/report/selection_curves.rst",
            category="Distillation",
            labels={"comparison": "{comparison}", "what": "scores by share kept"},
        ),
    params:
        methods=params_of.methods,
        kept=params_of.kept,
        title=params_of.title,
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.distilled"),
    log:
        paths.log("distilled", "comparison"),
    benchmark:
        paths.benchmark("distilled", "comparison")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/distilled.py"


rule selection_cost:
    """What choosing the windows of a pre-training costs, and how well the chosen stand for the others."""
    input:
        pooled=inputs.all_pooled,
        selections=inputs.selections,
        weights=inputs.distilled_weights,  # whose benchmarks say what they cost
    output:
        cost=report(
            paths.table("png", "hours"),
            caption="../workflow/report/cost_curves.rst",
            category="Distillation",
            labels={"comparison": "{comparison}", "what": "scores by hours"},
        ),
        coverage=report(
            paths.table("png", "coverage"),
            caption="../workflow/report/coverage.rst",
            category="Distillation",
            labels={"comparison": "{comparison}", "what": "coverage"},
        ),
    params:
        methods=params_of.methods,
        kept=params_of.kept,
        costs=inputs.costs,
        evaluation=plain(experiment.evaluation),
        code=fingerprint("stages.distilled"),
    log:
        paths.log("selection_cost", "comparison"),
    benchmark:
        paths.benchmark("selection_cost", "comparison")
    resources:
        mem_mb=gigabytes(4),
        runtime=minutes(30),
    container:
        compute
    script:
        "../workflow/scripts/selection_cost.py"


rule ledger:
    """Every number that the articles print, and what the run has measured of it."""
    input:
        tables=inputs.measured,
    output:
        csv=paths.ledger("csv"),
        html=report(
            paths.ledger("html"),
            caption="../workflow/report/ledger.rst",
            category="Reproduction",
            labels={"what": "every published number"},
        ),
        txt=paths.ledger("txt"),
    params:
        planned=lambda wildcards: fillers(),
        title=f"Reproduction ledger: {experiment.run}",
        code=fingerprint("stages.ledger"),
    log:
        paths.log("ledger"),
    benchmark:
        paths.benchmark("ledger")
    resources:
        mem_mb=gigabytes(2),
        runtime=minutes(20),
    container:
        compute
    script:
        "../workflow/scripts/ledger.py"
