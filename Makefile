# make demo: set up and run every system on synthetic stand-ins. make test: set up and run the tests.
PYTHON := .venv/bin/python
BIN := .venv/bin
STAMP := .venv/.locked

# Compiled modules are kept even where the environment says otherwise: thousands of files would be compiled anew by every job.
export PYTHONDONTWRITEBYTECODE :=

DEMOS := demo demo_sleep demo_distill
CONFIG_demo := config/config.yaml
CONFIG_demo_sleep := config/demo_sleep.yaml
CONFIG_demo_distill := config/demo_distill.yaml

.PHONY: demo $(DEMOS) test environment clean

demo: environment $(DEMOS)
	@echo "Reports: $(DEMOS:%=results/%/report.html)"

# One system after the other; each prints its tables and leaves a report that needs no network.
$(DEMOS): environment
	$(BIN)/snakemake --profile profiles/local --configfile $(CONFIG_$@) --quiet progress rules
	$(BIN)/snakemake --profile profiles/local --configfile $(CONFIG_$@) --report results/$@/report.html --quiet
	@$(BIN)/unimontage results results/$@

test: environment
	$(BIN)/pytest

environment: $(STAMP)

# uv installs the hashed lock; where uv is missing, it is fetched into a folder of its own.
$(STAMP): containers/compute.lock pyproject.toml
	@command -v uv >/dev/null || test -x .uv/bin/uv || (python3 -m venv .uv && .uv/bin/pip install --quiet uv)
	PATH="$(CURDIR)/.uv/bin:$$PATH" uv venv --quiet --allow-existing --python 3.11 .venv
	PATH="$(CURDIR)/.uv/bin:$$PATH" uv pip install --quiet --python $(PYTHON) --require-hashes -r containers/compute.lock
	PATH="$(CURDIR)/.uv/bin:$$PATH" uv pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	touch $(STAMP)

clean:
	rm -rf .venv .uv $(DEMOS:%=results/%) .snakemake
