# make demo: set up and run every system on synthetic stand-ins. make test: set up and run the tests.
# make test-cluster: the tests that want a SLURM cluster, which they start on this machine. make images: the image of the jobs.
PYTHON := .venv/bin/python
BIN := .venv/bin
STAMP := .venv/.locked

# Compiled modules are kept even where the environment says otherwise: thousands of files would be compiled anew by every job.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-cluster images environment clean

# One system after the other; each prints its tables and leaves a report that needs no network.
define run_demo
	$(BIN)/snakemake --profile profiles/local --configfile $2 --quiet progress rules
	@$(BIN)/unimontage results results/$1
endef

demo: environment
	$(call run_demo,demo,config/config.yaml)
	$(call run_demo,demo_sleep,config/demo_sleep.yaml)
	$(call run_demo,demo_distill,config/demo_distill.yaml)
	@echo "Reports: results/demo/report.html results/demo_sleep/report.html results/demo_distill/report.html"

test: environment
	$(BIN)/pytest

# The tests on a real SLURM; installs what it needs of Debian's packages, as root.
SLURM := munge slurmctld slurmd slurm-client slurmdbd mariadb-server
test-cluster: environment
	@command -v slurmctld >/dev/null || (apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $(SLURM))
	UNIMONTAGE_CLUSTER=required $(BIN)/pytest tests/cluster

# The image that jobs run in, built and verified; BASE=debootstrap where no image registry is reachable.
BASE := docker
images:
	BASE=$(BASE) containers/build.sh

environment: $(STAMP)

# uv installs the hashed lock; where uv is missing, it is fetched into a folder of its own.
$(STAMP): containers/compute.lock pyproject.toml
	@command -v uv >/dev/null || test -x .uv/bin/uv || (python3 -m venv .uv && .uv/bin/pip install --quiet uv)
	PATH="$(CURDIR)/.uv/bin:$$PATH" uv venv --quiet --allow-existing --python 3.11 .venv
	PATH="$(CURDIR)/.uv/bin:$$PATH" uv pip install --quiet --python $(PYTHON) --require-hashes -r containers/compute.lock
	PATH="$(CURDIR)/.uv/bin:$$PATH" uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	touch $(STAMP)

clean:
	rm -rf .venv .uv results/demo results/demo_sleep results/demo_distill .snakemake
