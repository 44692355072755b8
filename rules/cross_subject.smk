# Test on a subject that nobody trained on.


use rule within_subject as cross_subject with:
    input:
        split=paths.split,
        audit=inputs.audit,
        weights=inputs.weights,
    output:
        predictions=paths.predictions("cross_subject"),
        history=paths.history("cross_subject"),
        card=paths.card("cross_subject"),
    log:
        paths.log("cross_subject", "dataset", "task", "protocol", "arm", "subjects"),
    benchmark:
        paths.benchmark("cross_subject", "dataset", "task", "protocol", "arm", "subjects")
    resources:
        gpu=params_of.gpu,
        mem_mb=gigabytes(48),
        runtime=minutes(480),
