# Leave one dataset out: fine-tune on a target that pre-training never saw.


use rule within_subject as transfer with:
    input:
        split=paths.split,
        audit=inputs.audit,
        weights=inputs.weights,
    output:
        predictions=paths.predictions("transfer"),
        history=paths.history("transfer"),
        card=paths.card("transfer"),
    log:
        paths.log("transfer", "dataset", "task", "protocol", "arm", "subjects"),
    benchmark:
        paths.benchmark("transfer", "dataset", "task", "protocol", "arm", "subjects")
    resources:
        gpu=params_of.gpu,
        mem_mb=gigabytes(8),
        runtime=minutes(90, each=30),
