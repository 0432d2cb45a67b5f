# Every word can be repeated: what is there already is left alone.

PYTHON = .venv/bin/python
UNDERSTUDY = .venv/bin/understudy
# The tests of one file run in one process, and those that start the embedded stack in one after the other; one process more
# than there are cores, because they wait a lot, and four at most, because each may hold an Airflow. To watch them one
# by one: make test TESTS_AT_ONCE=0
TESTS_AT_ONCE = $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST = $(PYTHON) -m pytest -n $(TESTS_AT_ONCE) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: help install image demo practice up down env stack test e2e check bench clean

help: ## Show these words
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: ## Create or repair the environment (.venv)
	@scripts/install.sh

image: install ## Build the image that stages run in, if a Docker engine answers
	@scripts/build_image.sh

demo: image ## Run the whole story on a fresh machine
	@$(UNDERSTUDY) demo

practice: image ## Leave a bad model serving on a stack of its own: find it and take it back
	@$(UNDERSTUDY) practice

up: image ## Start the embedded Airflow, MLflow and gateway
	@$(UNDERSTUDY) up

down: install ## Stop what `make up` started
	@$(UNDERSTUDY) down

env: ## Generate the secrets of docker-compose.yaml into .env; what is there stays
	@scripts/make_env.sh

stack: ## Start the real stack for one server (docker-compose.yaml) and serve the sample from it
	@scripts/stack.sh

test: image ## Run unit, integration and e2e tests; name what was skipped and why
	@$(PYTEST)

e2e: image ## Run the e2e tests only
	@$(PYTEST) tests/e2e

check: install ## Check style, types and architecture
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

bench: image ## Run every benchmark; each prints a table
	@for benchmark in benchmarks/[a-z]*.py; do echo "== $$benchmark"; $(PYTHON) $$benchmark || exit 1; done

clean: ## Remove the environment and caches; models, data and history stay
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
