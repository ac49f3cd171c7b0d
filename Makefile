# make demo   a tour on synthetic data, in an environment of its own
# make test   lint, types and every test, in an environment with everything

PYTHON ?= python3

.PHONY: demo test lint types unit bench typed clean

demo: .venv-demo/ready
	.venv-demo/bin/har-bench demo demo

test: lint types unit

lint: .venv/ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types: .venv/ready typed
	.venv/bin/mypy

unit: .venv/ready
	.venv/bin/pytest -n 2

bench: .venv/ready
	.venv/bin/pytest tests/benchmarks --benchmark-enable --benchmark-only

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,test]'
	touch $@

.venv-demo/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt .
	touch $@

# mypy sees the package as it is installed: the four sibling folders inside har_bench
typed:
	rm -rf .typed && mkdir -p .typed/har_bench
	ln -s $(CURDIR)/har_bench/* .typed/har_bench/
	ln -s $(foreach spoke,converters protocols baselines leaderboard,$(CURDIR)/$(spoke)) .typed/har_bench/

clean:
	rm -rf .venv .venv-demo .typed build demo *.egg-info
