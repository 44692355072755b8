# Short jobs, each of which meets one of the traps that are known of SLURM and of Snakemake's plugin for it.
NAMES = ("well", "fails_once", "hopeless", "hungry", "slow", "cancelled", "preempted", "nowhere")


def memory(wildcards, attempt):
    return 600 * attempt


rule all:
    input:
        expand("{name}.txt", name=NAMES),


rule well:
    output:
        "well.txt",
    resources:
        mem_mb=memory,
    shell:
        "touch {output}"


rule fails_once:
    output:
        "fails_once.txt",
    resources:
        mem_mb=memory,
    shell:
        "test {resources.mem_mb} -gt 600 && touch {output}"


rule hopeless:
    output:
        "hopeless.txt",
    log:
        "logs/hopeless.log",
    resources:
        mem_mb=memory,
    shell:
        "echo 'hopeless: nothing mends this' >&2; exit 1"


rule hungry:
    output:
        "hungry.txt",
    resources:
        mem_mb=memory,
    shell:
        "python3 -c 'import time; held = b\"x\" * 500_000_000; time.sleep(5)' && touch {output}"


rule slow:
    output:
        "slow.txt",
    resources:
        mem_mb=memory,
        runtime=lambda wildcards, attempt: attempt,
    shell:
        "if test {resources.runtime} -eq 1; then sleep 200; fi; touch {output}"


rule cancelled:
    output:
        "cancelled.txt",
    resources:
        mem_mb=memory,
    shell:
        "if test {resources.mem_mb} -eq 600; then sleep 200; fi; touch {output}"


rule preempted:
    output:
        "preempted.txt",
    resources:
        mem_mb=memory,
        slurm_partition="scavenge",
        slurm_extra="--nodelist=gpu2",
    shell:
        "date >> starts; sleep 20; touch {output}"


rule nowhere:
    output:
        "nowhere.txt",
    resources:
        slurm_partition="nowhere",
    shell:
        "touch {output}"
