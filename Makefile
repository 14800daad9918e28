# make demo: train, export, translate, verify; make test: everything the CI runs.
# Both make the virtual environment themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: demo test lint format bench docs docs-serve notebooks install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@command -v $${CXX:-g++} >/dev/null || { echo "g++ is missing; on Debian or Ubuntu: sudo apt-get install g++ make"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer with venv is missing; on Debian or Ubuntu: sudo apt-get install python3 python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing torch and all else into $(VENV), once: this takes minutes"
	@begin=$$(date +%s); \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' && \
		echo "installed in $$(($$(date +%s) - begin)) s"
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py --output demo

test: $(STAMP) lint
	@command -v verilator >/dev/null || echo "note: tests that need Verilator are skipped; on Debian or Ubuntu: sudo apt-get install verilator"
	# One thread a worker: torch's threads would wait for each other.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations=20 --nbmake tests notebooks

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror $$(git ls-files 'hls/*.h' 'hls/*.cpp')

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $$(git ls-files 'hls/*.h' 'hls/*.cpp')

bench: $(STAMP)
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/emulation.py
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/estimator.py
	$(BIN)/python benchmarks/epoch.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/datasets.py
	$(BIN)/python benchmarks/selection.py
	$(BIN)/python benchmarks/learned_budget.py

# The site, in site/; nothing is fetched. NO_MKDOCS_2_WARNING: of the theme's authors, on each build.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "open site/index.html, or make docs-serve"

docs-serve: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --no-strict

# Runs the notebooks with all their events and epochs, and keeps their outputs: half an hour.
notebooks: $(STAMP)
	$(BIN)/python docs/run_notebooks.py

clean:
	rm -rf $(VENV) site demo .pytest_cache .ruff_cache .hypothesis
