# Every target says in one line what it does; `make` alone prints them. Settings, by environment:
#   WARREN_CACHE   what is compiled and kept between runs, outside the tree (~/.cache/warren)
#   WARREN_IMAGE   name of the image to build and run (localhost/warren:dev)
#   KUBECONFIG     a Kubernetes to use; without it one is built and started on this machine (tests/kube)
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export WARREN_CACHE ?= $(HOME)/.cache/warren
export CARGO_TARGET_DIR ?= $(WARREN_CACHE)/target
export WARREN_IMAGE ?= localhost/warren:dev
export CARGO_TERM_PROGRESS_WHEN ?= never
# The broker under test is the one in the image.
export WARREN_BIN ?= $(WARREN_CACHE)/image/warren
RUNNERS := $(CARGO_TARGET_DIR)/debug
# All test runners at once and as part of the workspace, so that no dependency is compiled twice with other features.
BUILD_RUNNERS := cargo build --quiet --workspace --bin oracle --bin interop --bin e2e --bin page --bin soak

.PHONY: help
help: ## print this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

# ---- for users ----

.PHONY: demo demo-down image build dist deb
demo: ## a Kubernetes, the operator, a broker, messages: from nothing to `kubectl get rmq`
	@hack/demo up

demo-down: ## take away what `make demo` made
	@hack/demo down

image: ## build the container image
	@hack/image

build: ## compile the static binaries of the image into $WARREN_CACHE/image
	@hack/need cargo cc strip
	@hack/binaries $(WARREN_CACHE)/image

deb: build ## the Debian package in DIST=dist: tool names, user, directories, systemd unit
	@hack/deb $(or $(DIST),dist)

dist: image ## charts, install.yaml, image, bill of materials and checksums in DIST=dist; WARREN_IMAGE is the image's name for all
	@hack/need python3
	@hack/dist $(or $(DIST),dist)

# ---- tests ----

.PHONY: test lint test-unit test-tidy test-oracle test-deb test-soak test-interop test-page test-fuzz test-image test-e2e
test: ## run all tests; what CI runs
	@hack/steps image+lint,build-tests test-unit test-tidy test-oracle test-deb test-soak test-interop+test-page,test-image test-fuzz test-e2e

lint: ## format, clippy, shellcheck, charts
	@hack/need cargo shellcheck
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	@! command -v cargo-deny >/dev/null || cargo deny check licenses bans sources
	@! command -v helm >/dev/null || helm lint --quiet charts/warren-operator charts/warren-cluster
	shellcheck -x -P SCRIPTDIR $$(grep -L '^#!.*python3' hack/*) .ci/run broker/fuzz/run tests/kube/up tests/kube/check

# What compiles is compiled beside the image, which has no use for two processors all the time; tests have the machine to themselves.
.PHONY: build-tests
build-tests:
	@hack/need cargo cc
	cargo test --quiet --workspace --no-run
	@$(BUILD_RUNNERS)

test-unit: ## tests beside the code, several binaries at once
	@hack/unit

test-tidy: ## the rules of the house
	cargo test --quiet --workspace --no-fail-fast --test house

test-oracle: build ## each behaviour against a real RabbitMQ and against us, then the tools, whatever came of the first
	@hack/need rabbitmq-server
	@$(BUILD_RUNNERS)
	@$(RUNNERS)/oracle && first=0 || first=1; $(RUNNERS)/oracle --cli; exit $$first

test-deb: build ## the Debian package in a throw-away copy of this host: installed, used, upgraded, removed
	@hack/need dpkg-deb unshare curl
	@rm -rf $(WARREN_CACHE)/deb
	@hack/deb $(WARREN_CACHE)/deb
	@hack/try-deb $(WARREN_CACHE)/deb/warren_*.deb

test-interop: build ## programs with foreign clients against us
	@hack/need python3-venv go node javac mvn
	@$(BUILD_RUNNERS)
	$(RUNNERS)/interop

test-page: build ## the management page in a real browser
	@hack/need chromium chromedriver
	@$(BUILD_RUNNERS)
	$(RUNNERS)/page

test-fuzz: ## feed hostile bytes to the frame reader and to a connection for a minute
	@hack/fuzz 60

test-soak: build ## a few kills under load, confirms and fdatasync, space, small backlogs, a cluster in pieces
	@hack/need strace setpriv ip nft
	@$(BUILD_RUNNERS)
	$(RUNNERS)/soak brief

test-image: image ## the image alone, without Kubernetes
	@$(BUILD_RUNNERS)
	$(RUNNERS)/e2e image

test-e2e: image ## the operator and the image on a real Kubernetes
	@$(BUILD_RUNNERS)
	@hack/e2e

.PHONY: soak-disk soak-model soak-crash soak-order soak-space soak-backlog soak-partition soak-sim soak-mirror soak-operations soak-examples
SOAK_DIR ?= $(WARREN_CACHE)/soak
# The settings below are N rounds, SEED, SERVER (warren, or rabbitmq for the judge), MESSAGES, QUEUES (single, mirrored or quorum)
# and RATE in messages a second.
SERVER ?= warren
QUEUES ?= single
soak-disk: ## N=5000 lives of the store on a disk that loses what a power cut may lose, from SEED=
	SEEDS=$(or $(N),5000) FIRST_SEED=$(or $(SEED),1) cargo test --quiet -p store --test crash -- --nocapture

soak-model: ## N=20000 random walks through the mirror protocol from SEED=, then every state of STATES=10000000
	@cargo build --quiet --release -p mirror-model
	@hack/soak-model $(or $(N),20000) $(or $(SEED),1) $(or $(STATES),10000000)

soak-sim: ## N=20000 lives of the definitions on simulated nodes that lag, die and quarrel about who leads, from SEED=
	SEEDS=$(or $(N),20000) FIRST_SEED=$(or $(SEED),1) cargo test --quiet -p catalog --test sim -- --nocapture

soak-mirror: ## N=100000 lives of mirrored queues on simulated nodes from SEED=, then each rule of the protocol is left out and missed
	@cargo build --quiet --release -p mirror-sim
	$(CARGO_TARGET_DIR)/release/mirror-sim $(or $(N),100000) $(or $(SEED),1)
	$(CARGO_TARGET_DIR)/release/mirror-sim rules 10000

soak-crash: build ## N=500 kills under load by SEED=; goes on where it was interrupted
	@hack/need setpriv
	@$(BUILD_RUNNERS)
	$(RUNNERS)/soak --server $(SERVER) crash --rounds $(or $(N),500) $(if $(SEED),--seed $(SEED)) --dir $(SOAK_DIR)/crash-$(SERVER)$(if $(SEED),-$(SEED))

soak-order: build ## no confirm before its fdatasync, under strace
	@hack/need strace setpriv
	@$(BUILD_RUNNERS)
	$(RUNNERS)/soak --server $(SERVER) order

soak-space: build ## 16 GiB of traffic in a bounded directory
	@hack/need setpriv
	@$(BUILD_RUNNERS)
	$(RUNNERS)/soak --server $(SERVER) space --dir $(SOAK_DIR)

soak-backlog: build ## MESSAGES=10000000 held in every queue mode in less than 1 GiB of memory
	@hack/need setpriv
	@$(BUILD_RUNNERS)
	$(RUNNERS)/soak --server $(SERVER) backlog --messages $(or $(MESSAGES),10000000) --dir $(SOAK_DIR)

soak-partition: build ## N=100 rounds by SEED= of kills, partitions and frozen nodes against three nodes; QUEUES=mirrored or quorum, SERVER=rabbitmq; as root
	@hack/need setpriv ip nft tc
	@[ $(SERVER) = warren ] || hack/need rabbitmq-server
	@$(BUILD_RUNNERS)
	$(RUNNERS)/soak --server $(SERVER) partition --queues $(QUEUES) --rounds $(or $(N),100) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) --dir $(SOAK_DIR)/partition-$(SERVER)-$(QUEUES)$(if $(SEED),-$(SEED))

soak-operations: image ## N=50 operations by SEED= on a Kubernetes under 2,400 messages a second: restarts, scaling, lost pods, disks and Secrets, another secret; the operator is killed meanwhile; INSIDE=1 puts the clients into a pod, TLS=1 has nodes speak TLS to each other
	@$(BUILD_RUNNERS)
	@hack/operations --rounds $(or $(N),50) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) $(if $(TLS),--tls) --dir $(SOAK_DIR)/operations$(if $(TLS),-tls)$(if $(SEED),-$(SEED))

soak-examples: image ## every file of examples/ on a Kubernetes of three nodes: applied, waited for, used, deleted; ONLY= names of files
	@$(BUILD_RUNNERS)
	@hack/examples $(ONLY)

.PHONY: fuzz bench bench-cluster bench-connections bench-mirrors bench-watching kube-up kube-down
fuzz: ## the same for an hour
	@hack/fuzz 3600

bench: build ## the same loads against RabbitMQ and against us
	@hack/need rabbitmq-server
	@tests/bench/run

bench-cluster: build ## the same load at the node that leads a queue and through another
	@tests/bench/cluster

bench-connections: build ## what a connection and a queue cost in CPU and memory, against RabbitMQ and against us
	@hack/need rabbitmq-server
	@ulimit -n 20000 && tests/bench/connections

bench-mirrors: build ## what mirrors cost, a million messages synchronised under load, 10,000 mirrored queues failing over; SERVER=rabbitmq
	@[ $(SERVER) = warren ] || hack/need rabbitmq-server
	@SERVER=$(SERVER) tests/bench/mirrors

# Lines are counted: with a table of them, which the image's own build has not, and before it is taken out.
bench-watching: export CARGO_PROFILE_RELEASE_DEBUG = line-tables-only
bench-watching: export WARREN_BIN := $(if $(filter file,$(origin WARREN_BIN)),$(CARGO_TARGET_DIR)/$(shell uname -m)-unknown-linux-gnu/release/warren,$(WARREN_BIN))
bench-watching: build ## what counters cost a message, and pages of 50,000 queues the broker; ONLY=counters or lists
	@hack/need valgrind
	@tests/bench/watching $(ONLY)

kube-up: ## start the local Kubernetes
	@hack/kube

kube-down: ## stop it and remove every trace but its builds
	@tests/kube/up down
