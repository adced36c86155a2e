# berth: one Makefile, not recursive. Sources are found by wildcard; a folder that does not exist
# yet is an empty archive. `make help` lists the targets.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules

# ---- what to build -------------------------------------------------------------------------------

MODE ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
AR     ?= ar
PREFIX ?= /usr/local
B      := build/$(MODE)

# One archive per folder: build/MODE/lib/FOLDER-WITH-DASHES.a. The linker pulls what is needed.
BASE_DIRS   := engine/base
IMAGE_DIRS  := engine/image
MAIN_DIRS   := $(BASE_DIRS) $(IMAGE_DIRS) engine engine/cli engine/build engine/container engine/keeper \
               engine/network engine/volume engine/cgroup engine/security engine/command engine/api \
               reconcile compose compose/file compose/command
WORKER_DIRS := engine/worker
ALL_DIRS    := $(MAIN_DIRS) $(WORKER_DIRS)

MAIN_SOURCE   := $(wildcard compose/main.c)
WORKER_SOURCE := $(wildcard engine/worker/main.c)
ZYGOTE_SOURCES := $(sort $(wildcard engine/container/zygote/*.c)) $(wildcard engine/container/wire.c)

# sources of a folder, without the mains
folder_sources = $(filter-out %/main.c,$(sort $(wildcard $(1)/*.c $(1)/*.S)))
folder_objects = $(patsubst %,$(B)/%.o,$(basename $(call folder_sources,$(1))))
folder_archive = $(B)/lib/$(subst /,-,$(1)).a

MAIN_ARCHIVES   := $(foreach dir,$(MAIN_DIRS),$(if $(call folder_sources,$(dir)),$(call folder_archive,$(dir))))
WORKER_ARCHIVES := $(foreach dir,$(WORKER_DIRS) $(IMAGE_DIRS) $(BASE_DIRS),$(if $(call folder_sources,$(dir)),$(call folder_archive,$(dir))))
ALL_ARCHIVES    := $(foreach dir,$(ALL_DIRS),$(if $(call folder_sources,$(dir)),$(call folder_archive,$(dir))))

PROGRAMS := $(if $(MAIN_SOURCE),$(B)/berth) $(if $(WORKER_SOURCE),$(B)/berth-worker) \
            $(if $(ZYGOTE_SOURCES),$(B)/berth-zygote)

# one short line per command; V=1 prints the commands
say = $(if $(V),,@echo "  $(1)";)

# ---- how to build it -----------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
            -Wvla -Walloca -Wundef -Wdate-time -Wformat=2 -Wconversion -Wsign-conversion \
            -Wwrite-strings -Wpointer-arith -Wcast-qual -Wnull-dereference -Wenum-conversion \
            -Wimplicit-fallthrough -Wframe-larger-than=16384 -Wno-format-nonliteral -Wno-missing-field-initializers

IS_CLANG := $(findstring clang,$(notdir $(CC)))
ifeq ($(IS_CLANG),)
WARNINGS += -Wlogical-op -Wduplicated-cond -Wformat-signedness -Walloc-zero -Wjump-misses-init \
            -Wtrampolines -Wcast-align=strict -Wbidi-chars=any
HARDENING_CC := -ftrivial-auto-var-init=zero -fzero-call-used-regs=used-gpr
else
# clang calls a variable unused that is only there for its cleanup; gcc finds the truly unused.
WARNINGS += -Wcomma -Wno-gnu-statement-expression -Wno-unused-variable
endif

# Developers (a checkout has .git: a directory, or a file in a worktree) get warnings as errors.
DEVELOPER ?= $(if $(wildcard .git),1,0)
ifeq ($(DEVELOPER),1)
WARNINGS += -Werror
endif

HARDENING := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
# Ubuntu's gcc comes with a level of its own
CFLAGS_release := -O2 -g $(HARDENING) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 $(HARDENING_CC)
CFLAGS_debug   := -Og -g3 $(HARDENING) -ftrivial-auto-var-init=pattern -DBERTH_DEBUG
CFLAGS_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
                  -fno-omit-frame-pointer -DBERTH_DEBUG -Wno-null-dereference
CFLAGS_cov     := -O0 -g --coverage -DBERTH_DEBUG
LDFLAGS_asan   := -fsanitize=address,undefined
LDFLAGS_cov    := --coverage
ifeq ($(filter $(MODE),release debug asan cov),)
$(error MODE=$(MODE) is unknown: release, debug, asan or cov)
endif

CFLAGS_ALL := -std=gnu17 -D_GNU_SOURCE -I. -include engine/base/banned.h -MMD -MP -fPIE \
              -fno-common -fvisibility=hidden -fno-strict-overflow -ffile-prefix-map=$(CURDIR)=. \
              $(WARNINGS) $(CFLAGS_$(MODE)) $(CFLAGS)
LDFLAGS_ALL := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed \
               -Wl,--fatal-warnings $(LDFLAGS_$(MODE)) $(LDFLAGS)

# Linked by name: the libraries of both programs are in `make deps`, each in its default place.
pkg_libs = $(shell pkg-config --libs $(1) 2>/dev/null)
MAIN_LIBS   = $(call pkg_libs,yaml-0.1 jansson libevent_core libnl-3.0 libnl-route-3.0 libseccomp libmd)
WORKER_LIBS = $(call pkg_libs,libcurl libarchive libzstd libisal libcrypto jansson libmd)
PKG_CFLAGS := $(shell pkg-config --cflags yaml-0.1 jansson libevent_core libnl-3.0 libnl-route-3.0 \
                libseccomp libmd libcurl libarchive libzstd libisal libcrypto 2>/dev/null)
# Headers of libraries don't have to meet our warnings.
CFLAGS_ALL += $(patsubst -I%,-isystem %,$(PKG_CFLAGS))

# The zygote is copied into every project's memory: static, small, no library at all.
ZYGOTE_CFLAGS := -std=gnu17 -D_GNU_SOURCE -I. -include engine/base/banned.h -Os -g -ffreestanding \
                 -ffunction-sections -fdata-sections -fno-common -fno-strict-overflow \
                 -fno-asynchronous-unwind-tables -fno-stack-protector -U_FORTIFY_SOURCE -fno-pie \
                 -ffile-prefix-map=$(CURDIR)=. $(WARNINGS)
ZYGOTE_LDFLAGS := -static -nostdlib $(if $(IS_CLANG),,-no-pie) -s -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--build-id=none

# ---- tests ---------------------------------------------------------------------------------------

UNIT_SOURCES     := $(sort $(wildcard tests/unit/*.c tests/unit/*/*.c tests/unit/*/*/*.c))
GOLDEN_SOURCES   := $(sort $(wildcard tests/golden/*.c))
PROPERTY_SOURCES := $(filter-out %_world.c,$(sort $(wildcard tests/property/*.c)))
FUZZ_SOURCES     := $(filter-out tests/fuzz/main.c %_world.c,$(sort $(wildcard tests/fuzz/*.c)))
UNIT_TESTS     := $(UNIT_SOURCES:%.c=$(B)/%)
GOLDEN_TESTS   := $(GOLDEN_SOURCES:%.c=$(B)/%)
PROPERTY_TESTS := $(PROPERTY_SOURCES:%.c=$(B)/%)
SEED_TESTS     := $(FUZZ_SOURCES:%.c=$(B)/%)
INTEGRATION_PROGRAMS := $(patsubst %.c,$(B)/%,$(filter-out %_world.c,$(sort $(wildcard tests/integration/*.c))))
INTEGRATION_TESTS := $(sort $(wildcard tests/integration/*.bats)) $(INTEGRATION_PROGRAMS)
E2E_TESTS         := $(sort $(wildcard tests/e2e/*.bats))
CRASH_TESTS       := $(sort $(wildcard tests/crash/*.bats))
CHECK_SCRIPTS     := $(sort $(wildcard tests/check-layers tests/check-headers tests/check-format tests/check-size \
                       tests/check-schema tests/check-forms tests/check-keys tests/check-library))
PROVE     := LC_ALL=C.UTF-8 prove --failures --exec tests/run-one
PROVE_DEV := $(PROVE) --quiet

all: $(PROGRAMS) $(ALL_ARCHIVES)  ## build the programs (MODE=release|debug|asan|cov, CC=gcc|clang)

# ---- rules ---------------------------------------------------------------------------------------

# changes only when the flags do
FLAGS_TEXT := $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(ZYGOTE_CFLAGS) $(ZYGOTE_LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS_TEXT)' | cmp -s - $@ || echo '$(FLAGS_TEXT)' > $@

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,$@)$(CC) $(CFLAGS_ALL) -c -o $@ $<

$(B)/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(call say,$@)$(CC) -I. -I$(B) -DZYGOTE_PATH='"$(B)/berth-zygote"' -c -o $@ $<

# engine/container/zygote_image.S includes the program: .incbin ZYGOTE_PATH
$(B)/engine/container/zygote_image.o: $(if $(ZYGOTE_SOURCES),$(B)/berth-zygote)

# An archive is made anew when the list of its members changes, so that removed sources leave it.
define archive_rule
$(call folder_archive,$(1)): $(call folder_objects,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,$$@)$(AR) rcsD $$@ $$^
endef
$(foreach dir,$(ALL_DIRS),$(if $(call folder_sources,$(dir)),$(eval $(call archive_rule,$(dir)))))

$(B)/berth: $(B)/compose/main.o $(MAIN_ARCHIVES)
	$(call say,$@)$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(MAIN_ARCHIVES) -Wl,--end-group $(MAIN_LIBS)

$(B)/berth-worker: $(B)/engine/worker/main.o $(WORKER_ARCHIVES)
	$(call say,$@)$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--start-group $(WORKER_ARCHIVES) -Wl,--end-group $(WORKER_LIBS)

ZYGOTE_OBJECTS := $(ZYGOTE_SOURCES:engine/container/%.c=$(B)/zygote/%.o)
$(B)/zygote/%.o: engine/container/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,$@)$(CC) $(ZYGOTE_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/berth-zygote: $(ZYGOTE_OBJECTS)
	$(call say,$@)$(CC) $(ZYGOTE_LDFLAGS) -o $@ $^

$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/main.o $(ALL_ARCHIVES)
	$(call say,$@)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(ALL_ARCHIVES) -Wl,--end-group \
	    $(MAIN_LIBS) $(WORKER_LIBS)
# what several tests share is in a file that ends with _world.c
$(filter $(B)/tests/integration/container%,$(INTEGRATION_PROGRAMS)): $(B)/tests/integration/container_world.o
$(B)/tests/integration/build $(B)/tests/integration/build_crash $(B)/tests/integration/build_network: \
    $(B)/tests/integration/build_world.o
$(B)/tests/property/plan $(B)/tests/property/print: $(B)/tests/property/plan_world.o
$(B)/tests/property/compose: $(addprefix $(B)/tests/,compose_laws.o explain_laws.o property/compose_world.o)
$(B)/tests/property/explain: $(B)/tests/explain_laws.o $(B)/tests/property/compose_world.o
$(B)/tests/golden/compose: $(B)/tests/compose_args.o $(B)/tests/explain_laws.o
$(addprefix $(B)/tests/unit/compose/,places limits): $(addprefix $(B)/tests/,compose_laws.o explain_laws.o)
COMPOSE_FUZZ_OBJECTS := tests/compose_args.o tests/compose_laws.o tests/explain_laws.o tests/fuzz/mutate_world.o
$(addprefix $(B)/tests/fuzz/,yaml merge load): $(addprefix $(B)/,$(COMPOSE_FUZZ_OBJECTS))
$(B)/tests/integration/network $(B)/tests/integration/resolver: $(B)/tests/integration/network_world.o
$(filter $(B)/tests/integration/keeper%,$(INTEGRATION_PROGRAMS)): $(B)/tests/integration/keeper_world.o
$(filter $(B)/tests/integration/image%,$(INTEGRATION_PROGRAMS)): $(B)/tests/integration/image_world.o
# compose/file with all its members, and only what it may need
FILE_ARCHIVE := $(call folder_archive,compose/file)
$(B)/tests/library/print: $(B)/tests/library/print.o $(FILE_ARCHIVE) $(call folder_archive,engine/base)
	$(call say,$@)$(CC) $(LDFLAGS_ALL) -o $@ $< -Wl,--whole-archive $(FILE_ARCHIVE) -Wl,--no-whole-archive \
	    $(call folder_archive,engine/base) $(call pkg_libs,yaml-0.1 jansson) -lm
$(B)/tests/%: $(B)/tests/%.o $(B)/tests/tap.o $(ALL_ARCHIVES)
	$(call say,$@)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(ALL_ARCHIVES) -Wl,--end-group \
	    $(MAIN_LIBS) $(WORKER_LIBS)

-include $(shell find $(B) build/fuzz -name '*.d' 2>/dev/null)

# ---- checks --------------------------------------------------------------------------------------

# What `make check` and `make demo` need is installed before make looks for libraries: hence a second make.
check:  ## everything: unit golden property integration e2e crash layers library schema headers format
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory check-all

check-all: all $(B)/tests/library/print $(INTEGRATION_PROGRAMS) $(UNIT_TESTS) $(SEED_TESTS) $(GOLDEN_TESTS) $(PROPERTY_TESTS)
	@BUILD=$(B) $(PROVE) $(UNIT_TESTS) $(SEED_TESTS) $(GOLDEN_TESTS) $(PROPERTY_TESTS) \
	    $(INTEGRATION_TESTS) $(E2E_TESTS) $(CRASH_TESTS) $(CHECK_SCRIPTS)

check-unit: $(UNIT_TESTS) $(SEED_TESTS)  ## unit tests and the seeds of the fuzzers; no root needed
	@$(if $(UNIT_TESTS),BUILD=$(B) $(PROVE_DEV) $(UNIT_TESTS) $(SEED_TESTS),echo "no unit tests yet")

check-golden: $(GOLDEN_TESTS)  ## compare what we print with tests/golden
	@$(if $(GOLDEN_TESTS),BUILD=$(B) $(PROVE_DEV) $(GOLDEN_TESTS),echo "no golden tests yet")

golden-accept: $(GOLDEN_TESTS)  ## rewrite tests/golden to what we print now; review the diff
	@set -e; for test in $(GOLDEN_TESTS); do BUILD=$(B) GOLDEN_ACCEPT=1 $$test; done

schema: $(B)/berth  ## rewrite schemas/compose.json to what the tables of keys say
	@mkdir -p schemas
	$(B)/berth internal print-schema > schemas/compose.json

check-property: $(PROPERTY_TESTS)  ## random inputs against the laws of the planner (SEED= replays)
	@$(if $(PROPERTY_TESTS),BUILD=$(B) $(PROVE_DEV) $(PROPERTY_TESTS),echo "no property tests yet")

check-integration: all $(INTEGRATION_PROGRAMS)  ## the engine against this kernel; root
	@$(if $(INTEGRATION_TESTS),BUILD=$(B) $(PROVE_DEV) $(INTEGRATION_TESTS),echo "no integration tests yet")

check-e2e: all  ## berth as its users type it; root
	@$(if $(E2E_TESTS),BUILD=$(B) $(PROVE_DEV) $(E2E_TESTS),echo "no end-to-end tests yet")

check-crash: all  ## kill -9 of CLI, keeper and zygote at random moments (CRASH_ROUNDS=3 each; SEED= replays); root
	@BUILD=$(B) $(PROVE_DEV) $(CRASH_TESTS)

check-vm: deps-vm all  ## on Debian's kernel 6.1 with pure cgroup v2, in an emulated machine; root
	@tests/vm/cgroup2

check-layers:  ## calls go down only, files and functions stay small
	@$(PROVE_DEV) tests/check-layers tests/check-size

check-library: $(B)/tests/library/print  ## compose/file is a library of its own: engine/base, libyaml, jansson
	@BUILD=$(B) $(PROVE_DEV) tests/check-library

check-schema: $(B)/berth  ## schemas/compose.json and the loader agree: about golden cases, and every key's values
	@BUILD=$(B) $(PROVE_DEV) tests/check-schema tests/check-forms

check-keys:  ## every key stands in a golden case that loads, and in one that is refused for it
	@$(PROVE_DEV) tests/check-keys

check-peer: $(B)/berth  ## config prints what docker compose prints (fetches Debian sid's docker-compose)
	@BUILD=$(B) tests/peer/config

check-headers:  ## every header compiles alone, with gcc and clang
	@$(PROVE_DEV) tests/check-headers

check-format:  ## clang-format has nothing to say
	@$(PROVE_DEV) tests/check-format

FORMAT_FILES = $(shell git ls-files '*.c' '*.h')
format:  ## clang-format everything
	clang-format -i $(FORMAT_FILES)

FUZZ_SECONDS ?= 60
FUZZ_LIB_SOURCES := $(foreach dir,$(ALL_DIRS),$(call folder_sources,$(dir)))
FUZZ_FLAGS := -std=gnu17 -D_GNU_SOURCE -I. -include engine/base/banned.h -O1 -g \
              -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJECTS := $(patsubst %,build/fuzz/%.o,$(basename $(FUZZ_LIB_SOURCES)))
build/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(call say,$@)clang $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<
build/fuzz/%.o: %.S $(if $(ZYGOTE_SOURCES),$(B)/berth-zygote)
	@mkdir -p $(@D)
	$(call say,$@)clang -I. -DZYGOTE_PATH='"$(B)/berth-zygote"' -c -o $@ $<
build/fuzz/lib.a: $(FUZZ_OBJECTS)
	@rm -f $@
	$(call say,$@)$(AR) rcsD $@ $^
build/fuzz/bin/%: build/fuzz/tests/fuzz/%.o build/fuzz/lib.a
	@mkdir -p $(@D)
	$(call say,$@)clang -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) build/fuzz/lib.a $(MAIN_LIBS) $(WORKER_LIBS)

$(addprefix build/fuzz/bin/,yaml merge load): $(addprefix build/fuzz/,$(COMPOSE_FUZZ_OBJECTS))

fuzz: $(FUZZ_SOURCES:tests/fuzz/%.c=build/fuzz/bin/%) $(SEED_TESTS)  ## libFuzzer on every tests/fuzz/*.c (FUZZ_SECONDS=60 each)
	@set -e; for fuzzer in $(notdir $(basename $(FUZZ_SOURCES))); do \
	    mkdir -p build/fuzz/corpus/$$fuzzer tests/fuzz/seeds/$$fuzzer; \
	    case $$fuzzer in load|merge) tests/fuzz/seeds-from-golden $$fuzzer build/fuzz/corpus/$$fuzzer ;; esac; \
	    { cat tests/fuzz/$$fuzzer.dict 2>/dev/null || :; $(B)/tests/fuzz/$$fuzzer --dictionary; } > build/fuzz/$$fuzzer.dict; \
	    dict=; [ ! -s build/fuzz/$$fuzzer.dict ] || dict=-dict=build/fuzz/$$fuzzer.dict; \
	    build/fuzz/bin/$$fuzzer $$dict -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 \
	        -artifact_prefix=build/fuzz/ build/fuzz/corpus/$$fuzzer tests/fuzz/seeds/$$fuzzer; done

bench: all  ## measure berth beside its peers
	@if [ -x tests/bench/run ]; then BUILD=$(B) tests/bench/run; else echo "tests/bench/run is not there yet"; fi

demo:  ## run examples/guestbook
	@$(MAKE) --no-print-directory deps-demo
	@$(MAKE) --no-print-directory all
	@BUILD=$(B) examples/guestbook/demo

# cppcheck reads no library's headers: it gets told what it must know of them.
LINT_FLAGS := -std=gnu17 -D_GNU_SOURCE -I. -include engine/base/banned.h $(patsubst -I%,-isystem %,$(PKG_CFLAGS))
lint:  ## clang-tidy and cppcheck, as configured in .clang-tidy and .cppcheck
	cppcheck --quiet --enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
	    --suppressions-list=.cppcheck --suppress=missingInclude --std=c11 -I. -D_GNU_SOURCE -D__x86_64__ \
	    '-D__typeof__(x)=void *' '-Djson_object_foreach(o,k,v)=while ((k = next(o)) && (v = next(o)))' \
	    $(wildcard compose engine reconcile)
	printf '%s\n' $(filter-out tests/%,$(filter %.c,$(FORMAT_FILES))) | xargs -n 4 -P 2 sh -c 'clang-tidy --quiet "$$@" -- $(LINT_FLAGS)' tidy

# ---- packages, installing, cleaning --------------------------------------------------------------

DEPS_BUILD := gcc libc6-dev make pkg-config libyaml-dev libjansson-dev libevent-dev libnl-3-dev \
              libnl-route-3-dev libseccomp-dev libcurl4-openssl-dev libarchive-dev libisal-dev \
              libzstd-dev libmd-dev libssl-dev
DEPS_DEMO  := mmdebstrap debian-archive-keyring busybox-static curl ca-certificates procps iproute2 nftables
DEPS_TEST  := clang clang-format bats git jq bzip2 xz-utils zstd nftables iproute2 procps perl busybox-static \
              binutils python3 python3-jsonschema python3-yaml

DEPS_VM    := qemu-system-x86 e2fsprogs busybox-static nftables

# $(call install_packages,NAMES): those that are missing. One apt at a time, and it may have to wait for another's.
define install_packages
@missing=; for package in $(sort $(1)); do \
    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
if [ -n "$$missing" ]; then \
    echo "installing$$missing"; \
    [ "$$(id -u)" = 0 ] || { echo "make: installing packages needs root: sudo make $(MAKECMDGOALS)" >&2; exit 1; }; \
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8; \
    apt-get update -qq && apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $$missing >/dev/null; fi
endef

deps:  ## install what is missing of the packages we need to build and test (root)
	$(call install_packages,$(DEPS_BUILD) $(DEPS_DEMO) $(DEPS_TEST))

deps-demo:  ## install what is missing of the packages we need to build and to run the demo (root)
	$(call install_packages,$(DEPS_BUILD) $(DEPS_DEMO))

deps-vm:  ## install what is missing for make check-vm (root)
	$(call install_packages,$(DEPS_VM))

deps-fuzz: deps  ## install what is missing for make fuzz (root)
	$(call install_packages,libclang-rt-$(shell clang -dumpversion 2>/dev/null | cut -d. -f1)-dev)

# berth finds its worker from where it lies itself: ../libexec/berth. So a PREFIX can be moved as a whole.
LIBEXECDIR := $(PREFIX)/libexec/berth
DATADIR    := $(PREFIX)/share/berth
MANDIR     := $(PREFIX)/share/man/man1
BASHDIR    := $(PREFIX)/share/bash-completion/completions
ZSHDIR     := $(PREFIX)/share/zsh/site-functions

install: all  ## install programs, man pages, completions and the schema below $(DESTDIR)$(PREFIX)
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(LIBEXECDIR) $(DATADIR) $(MANDIR) $(BASHDIR) $(ZSHDIR))
	install -m 755 $(B)/berth $(DESTDIR)$(PREFIX)/bin/berth
	install -m 755 $(B)/berth-worker $(DESTDIR)$(LIBEXECDIR)/berth-worker
	install -m 644 schemas/compose.json $(DESTDIR)$(DATADIR)/compose.json
	$(B)/berth internal print-man $(DESTDIR)$(MANDIR)
	$(B)/berth internal completion bash > $(DESTDIR)$(BASHDIR)/berth
	$(B)/berth internal completion zsh > $(DESTDIR)$(ZSHDIR)/_berth
	chmod 644 $(DESTDIR)$(MANDIR)/berth*.1 $(DESTDIR)$(BASHDIR)/berth $(DESTDIR)$(ZSHDIR)/_berth

uninstall:  ## remove what install put below $(DESTDIR)$(PREFIX); not what berth keeps in /var/lib/berth
	rm -f $(DESTDIR)$(PREFIX)/bin/berth $(DESTDIR)$(LIBEXECDIR)/berth-worker $(DESTDIR)$(MANDIR)/berth.1 \
	    $(DESTDIR)$(MANDIR)/berth-*.1 $(DESTDIR)$(BASHDIR)/berth $(DESTDIR)$(ZSHDIR)/_berth $(DESTDIR)$(DATADIR)/compose.json
	for dir in $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(DATADIR); do \
	    [ ! -d $$dir ] || rmdir --ignore-fail-on-non-empty $$dir; done

clean:  ## remove everything that was built
	rm -rf build

help:  ## this list
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-20s %s\n", $$1, $$2}' Makefile

FORCE:
.PHONY: FORCE all check check-all check-vm check-unit check-golden check-property check-integration check-e2e check-crash check-layers check-library check-schema check-keys \
        check-peer check-headers check-format golden-accept schema fuzz bench demo lint deps deps-demo deps-fuzz deps-vm install uninstall clean format help
