# The verbs. Everything built is in build/ and .venv/, its results in bin/ and wheelhouse/;
# `make clean` removes all but .venv.
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc)
C_FILES = $(shell git ls-files '*.c' '*.h' '*.cpp')
VENV = .venv/bin

MAKEFLAGS += --no-print-directory

.NOTPARALLEL:
.PHONY: all c-server setup python demo test ctest sanitize sanitize-quick pytest check wheel compliance coverage fuzz mutate bench bench-quick instructions soak keeper pythons clean

all:
	@scripts/setup.sh c
	@cmake -S . -B build >/dev/null
	@cmake --build build --target wsclient_shared wsclient_static
	@mkdir -p bin && cp -P build/bin/libwsclient.* bin/

c-server:
	@scripts/setup.sh c
	@cmake -S . -B build >/dev/null
	@cmake --build build --target ws_server_main
	@mkdir -p bin && cp build/bin/ws_server bin/

setup:
	@scripts/setup.sh

# The package as a user gets it, in .venv.
python: setup
	@$(VENV)/pip install --quiet --no-deps --no-build-isolation .

demo:
	@mkdir -p build && { $(MAKE) setup all c-server python >build/demo.log 2>&1 || { cat build/demo.log; exit 1; }; }
	@$(VENV)/python scripts/demo.py

test: setup all c-server python ctest sanitize-quick check pytest
	@$(MAKE) compliance CASES=sample

ctest: setup
	@cmake -S . -B build -DWS_TESTS=ON >/dev/null
	@cmake --build build >/dev/null
	@ctest --test-dir build --output-on-failure

# The tests with sanitizers and valgrind watching; the PARTS are in scripts/sanitize.sh. See docs/testing.md.
PARTS ?=
sanitize:
	@scripts/setup.sh sanitize
	@scripts/sanitize.sh $(PARTS)

sanitize-quick: setup
	@scripts/sanitize.sh quick

check: python
	$(VENV)/ruff format --check
	$(VENV)/ruff check
	$(VENV)/mypy --strict
	$(VENV)/pyright
	$(VENV)/clang-format --dry-run -Werror $(C_FILES)
	$(VENV)/stubtest wsclient._core --mypy-config-file pyproject.toml --allowlist tests/stubtest.allow

# Most of it waits: four files at a time, whatever the CPUs. One counts threads, and has a process without xdist's.
pytest: python
	@$(VENV)/pytest -n 4 --dist loadfile --ignore=tests/test_bad_network.py
	@$(VENV)/pytest tests/test_bad_network.py

# Fails below the figures in scripts/coverage.sh. See docs/testing.md.
coverage: python all c-server
	@scripts/coverage.sh

# Each fuzz target for that many seconds. See docs/testing.md.
SECONDS ?= 60
fuzz:
	@scripts/setup.sh fuzz
	@scripts/fuzz.sh $(SECONDS)

mutate: setup
	@$(VENV)/python scripts/mutate.py

# Ten million messages, ten thousand reconnects: nothing is lost, nothing grows. See docs/testing.md.
soak: python c-server
	@$(VENV)/python scripts/soak.py messages
	@$(VENV)/python scripts/soak.py reconnects

# Programs that are busy for 20 s at a time keep their connections. See docs/testing.md.
BUSY ?= 20
keeper: python
	@WS_BUSY_SECONDS=$(BUSY) $(VENV)/pytest -rP tests/test_keeper.py

# The Python tests on other Pythons, as far as there are any. See docs/testing.md.
PYTHONS ?=
pythons: c-server
	@scripts/pythons.sh $(PYTHONS)

# The Autobahn testsuite against client and server: CASES are "all", which takes many minutes, or a "sample". docs/compliance.md
CASES ?= all
compliance: python c-server
	@tests/compliance/setup.sh
	@$(VENV)/python tests/compliance/run.py $(CASES)

# How fast it is beside others, into docs/benchmarks: half an hour. See benchmarks/README.md.
bench:
	@benchmarks/setup.sh
	@build/bench-venv/bin/python -m benchmarks.run

bench-quick:
	@benchmarks/setup.sh
	@build/bench-venv/bin/python -m benchmarks.run --quick

# Instructions per message on the hot paths: of the revision BASE, and of this tree. See benchmarks/README.md.
BASE ?= HEAD~
PATHS ?=
instructions:
	@scripts/setup.sh sanitize
	@benchmarks/setup.sh
	@build/bench-venv/bin/python -m benchmarks.instructions $(BASE) --paths "$(PATHS)"

wheel: python
	scripts/wheel_check.sh

clean:
	rm -rf build bin dist wheelhouse
