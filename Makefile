# The one entry to everything; `make help` lists it.

prefix ?= /usr/local
JOBS ?= $(shell nproc)
# Tests start several database servers each, so few of them run at once.
TEST_JOBS ?= 2
# Passed on to the program behind a target: make demo ARGS="--members 4 --seconds 60"
ARGS ?=

configure = @cmake --preset $(1) --log-level=WARNING >/dev/null
compile = @cmake --build build/$(1) --parallel $(JOBS)
run_tests = @cd build/$(1) && ctest --output-on-failure --parallel $(TEST_JOBS) --timeout 600 $(2) </dev/null

.DEFAULT_GOAL := help
.PHONY: help build demo test bench torture soak test-versions fmt lint asan tsan fuzz deb install uninstall clean

help: ## this list (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## the program, as build/release/tidemark
	@tools/install-packages build
	$(call configure,release) -DTIDEMARK_TESTS=OFF
	$(call compile,release) --target tidemark

demo: ## three throwaway clusters, a bank, marks, a disaster and a restore that is proven
	@tools/install-packages build server
	@$(MAKE) --no-print-directory build
	@build/release/tidemark demo $(ARGS) </dev/null

test: ## every test, on real servers too
	@tools/install-packages build server test deb
	@tools/fetch-promtool
	$(call configure,ci)
	$(call compile,ci)
	$(call run_tests,ci,)

torture: ## random distributed transfers, kills, restores to many marks (long)
	@tools/install-packages build server test
	@tools/fetch-promtool
	$(call configure,ci)
	$(call compile,ci) --target tidemark torture
	@build/ci/torture $(ARGS)

soak: ## an hour of `tidemark run` under load while things go wrong, then a restore from the sheet (long)
	@tools/install-packages build server test
	@tools/fetch-promtool
	$(call configure,ci)
	$(call compile,ci) --target tidemark soak
	@build/ci/soak $(ARGS)

bench: ## backup, restore, marks and log reader timed; against pg_basebackup and pgBackRest
	@tools/install-packages build server bench
	@$(MAKE) --no-print-directory build
	$(call compile,release) --target tidemark_bench_wal tidemark_bench_hash
	@bench/run $(ARGS)

test-versions: ## the suites labelled versions on PostgreSQL 13, 14, 16, 17 and 18 (from npm; all of them)
	@tools/install-packages build server test
	@tools/fetch-promtool
	$(call configure,ci)
	$(call compile,ci)
	@tools/test-versions $(ARGS)

fmt: ## formats all sources
	@tools/install-packages lint
	@tools/sources | xargs clang-format-19 -i

lint: ## formatting, the rules of the house, clang-tidy (CHANGED=1: only what differs from main)
	@tools/install-packages build test lint
	@tools/sources | xargs clang-format-19 --dry-run -Werror
	@tools/room-lint
	$(call configure,tidy)
	@tools/run-tidy build/tidy $(JOBS) $(if $(CHANGED),--changed)

asan: ## the tests under the address and undefined-behaviour sanitizers
	@tools/install-packages build server test
	@tools/fetch-promtool
	$(call configure,asan)
	$(call compile,asan)
	$(call run_tests,asan,$(ARGS))

tsan: ## the tests under the thread sanitizer
	@tools/install-packages build server test
	@tools/fetch-promtool
	$(call configure,tsan)
	$(call compile,tsan)
	$(call run_tests,tsan,$(ARGS))

fuzz: ## every parser of foreign bytes, SECONDS=60 each
	@tools/install-packages build fuzz
	$(call configure,fuzz)
	$(call compile,fuzz)
	@tools/run-fuzz build/fuzz $(or $(SECONDS),60)

deb: ## a Debian package in build/deb, checked by lintian
	@tools/install-packages deb
	@$(MAKE) --no-print-directory build
	@tools/make-deb build/release/tidemark build/deb

install: build ## program, manual page, completions, units, examples (prefix=/usr/local, DESTDIR=)
	@tools/install-files --program build/release/tidemark --prefix $(prefix) --destdir "$(DESTDIR)"

uninstall: ## takes away what install put in place; configuration, state and backups stay
	@tools/install-files --remove --prefix $(prefix) --destdir "$(DESTDIR)"

clean: ## removes build/
	@rm -rf build
