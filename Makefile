# make demo   a tour on synthetic data, in an environment of its own
# make test   lint, types and every test, in an environment with everything
# make gpu    what a GPU does beside the CPU, in at most 8 minutes

PYTHON ?= python3

.PHONY: demo test lint types unit bench gpu typed clean

demo: .venv-demo/ready
	.venv-demo/bin/har-bench demo demo

test: lint types unit

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/ready typed
	.venv/bin/mypy

# the tests start hundreds of processes, each of which would compile our modules anew
unexport PYTHONDONTWRITEBYTECODE

# each process takes half of the tests in their order, so that a module's fixtures are made in one of them only
unit: .venv/ready
	.venv/bin/pytest -n 2 --dist worksteal

bench: .venv/ready
	.venv/bin/pytest tests/benchmarks --benchmark-enable --benchmark-only

# what a GPU does beside the CPU: OUT is where the report goes, DATA the packed Human3.6M (docs/gpu.md)
OUT ?= gpu-report
gpu: .venv/ready
	.venv/bin/python -m tests.gpu.run $(OUT) $(if $(DATA),--data $(DATA))

# What an environment is made with; "ready" in it says that it was finished. One that was not, because the Python was
# wrong, the network went away or somebody interrupted, is made anew.
NEW_ENOUGH = import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	"har_bench needs Python 3.11 or newer, and $(PYTHON) is " + ".".join(map(str, sys.version_info[:2])) + \
	"; say which one: make $(MAKECMDGOALS) PYTHON=python3.12")

define environment
@[ -e $@ ] && $(@D)/bin/python -m pip --version >/dev/null 2>&1 || \
	{ $(PYTHON) -c '$(NEW_ENOUGH)' && $(PYTHON) -m venv --clear $(@D); }
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable
endef

.venv/ready: pyproject.toml setup.py constraints.txt
	$(environment) '.[all,test]'
	touch $@

.venv-demo/ready: pyproject.toml setup.py constraints.txt
	$(environment) .
	touch $@

# mypy sees the package as it is installed: the four sibling folders inside har_bench
typed:
	rm -rf .typed && mkdir -p .typed/har_bench
	cd .typed/har_bench && ln -s ../../har_bench/* $(addprefix ../../,converters protocols baselines leaderboard) .

clean:
	rm -rf .venv .venv-demo .typed build demo *.egg-info
