# Every command works on a fresh Debian with Rust, Python 3 and pip. DATA is the folder of the real listings
# (Products.csv, Images.csv, images/); only prepare and what follows it need it.

CARGO  ?= cargo
DATA   ?= ../shared/data/marketplace
CLEAN  ?= data/clean
REPORT ?= data/report
LISTEN ?= 127.0.0.1:8080
LISTINGS ?= 10000
MINUTES ?= 30
SECONDS ?= 600
ANSWERS = .cache/teacher/answers.csv

MARKETRANK       = target/release/marketrank
MARKETRANK_TRAIN = target/release/marketrank-train

.PHONY: bench bench-ranking evaluate-ranking fuzz report soak tune-ranking help run screenshots test test-browser test-clients test-load test-operations test-setup test-slow setup build weights sample prepare teacher train export quantize evaluate import openapi clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: sample ## Set everything up and serve the sample listings on port 8080
	$(MARKETRANK) serve --listen $(LISTEN)

# Clippy compiles the workspace itself here and lints on the way: `cargo clippy` would read all dependencies a second time, which
# takes longer than all tests.
test: export RUSTC_WORKSPACE_WRAPPER = clippy-driver
test: export CLIPPY_ARGS = --deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
test: export PROFILE = --config tests/profile.toml
test: setup weights ## Format, lints, unit tests, and black-box tests over HTTP against the real models
	$(CARGO) fmt --all --check
	$(CARGO) build $(PROFILE) --release --locked --workspace --examples --bench pieces
	$(CARGO) test $(PROFILE) --release --locked --workspace --lib --bins --tests
	$(MAKE) --jobs=2 --output-sync test-browser test-clients test-operations test-load

test-slow: weights test-setup ## Prepare, train, export and serve a made-up marketplace; ten thousand hostile requests; minutes
	node --test tests/own_categories/own_categories.test.mjs
	$(CARGO) test --release --locked --workspace --test http -- --ignored --nocapture hostile

soak: build ## Half an hour of mixed load with faults: answers, p99, memory and descriptors must stay as they were
	tests/load/setup.sh
	.cache/load-python/bin/python tests/load/soak.py --minutes $(MINUTES)

fuzz: ## Fuzz every reader of foreign bytes for SECONDS (default 600) each; needs a nightly compiler and cargo-fuzz
	@for target in $$(cargo +nightly fuzz list); do \
	    cargo +nightly fuzz run $$target -- -max_total_time=$(SECONDS) -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 || exit 1; \
	done

test-browser: test-setup ## Drive the page in Chromium
	node --test tests/browser/page.test.mjs tests/browser/keys.test.mjs

test-clients: test-setup ## Run the snippets of docs/ and the TypeScript client; lint the OpenAPI document and try it
	node --test tests/clients/spec.test.mjs tests/clients/examples.test.mjs tests/clients/snippets.test.mjs tests/clients/typescript.test.mjs
	tests/clients/triton.sh

test-operations: test-setup ## Lint the images; parse the compose file; ask /metrics for what the dashboard shows
	node --test tests/operations/files.test.mjs tests/operations/metrics.test.mjs

test-setup: build ## Bring what the tests around the server need
	@tests/setup.sh

screenshots: test-setup ## Take the pictures of docs/images anew
	node tests/browser/screenshots.mjs

setup: ## Bring the ONNX Runtime library
	@./setup/onnxruntime.sh

weights: ## Bring the pretrained weights that training starts from
	@./training/weights.sh

build: setup
	$(CARGO) build $(PROFILE) --release --locked --workspace

sample: build
	$(MARKETRANK) import sample/products.csv --photos sample/photos

prepare: build ## Clean and split the listings in DATA
	$(MARKETRANK_TRAIN) prepare --data $(DATA) --out $(CLEAN)

teacher: prepare ## Let a larger network learn the listings first, for text and photos to learn from (then: make train TEACHER=.cache/teacher/answers.csv)
	training/teacher/teach.sh --clean $(CLEAN) --answers $(ANSWERS)

train: prepare weights ## Train the three models on the prepared listings; TEACHER names what `make teacher` left
	$(MARKETRANK_TRAIN) train text --clean $(CLEAN) $(if $(TEACHER),--teacher $(TEACHER))
	$(MARKETRANK_TRAIN) train image --clean $(CLEAN) $(if $(TEACHER),--teacher $(TEACHER))
	$(MARKETRANK_TRAIN) train combined --clean $(CLEAN)

export: prepare weights ## Write the trained models to models/
	$(MARKETRANK_TRAIN) export --clean $(CLEAN)

quantize: prepare weights ## Add int8 models to models/, measured as export does
	$(MARKETRANK_TRAIN) quantize --clean $(CLEAN)

evaluate: prepare weights ## Measure models/ on the test split, through ONNX Runtime and the server's own preprocessing
	$(MARKETRANK_TRAIN) evaluate --clean $(CLEAN)

report: prepare weights ## The same as a page in REPORT: with pictures, learning curves and the worst mistakes; shows people's photos
	$(MARKETRANK_TRAIN) evaluate --clean $(CLEAN) --report $(REPORT)

evaluate-ranking: prepare weights ## Measure what the ranking finds for titles and photos of the test split, signal by signal
	$(MARKETRANK_TRAIN) evaluate --ranking --clean $(CLEAN)

tune-ranking: prepare weights ## Look for better weights of the ranking's signals, on the validation split
	$(MARKETRANK_TRAIN) evaluate --ranking --tune --clean $(CLEAN)

import: prepare ## Fill the catalogue with the prepared listings
	$(MARKETRANK) import $(CLEAN)/products.csv --photos $(CLEAN)/photos

bench-ranking: setup ## What ranking costs at LISTINGS listings (default 10000)
	$(CARGO) build --release --locked --workspace --example bench_ranking
	target/release/examples/bench_ranking --listings $(LISTINGS)

bench: setup ## Measure the serving path against a bare loop and a FastAPI service (OLDER=older: and one on PyTorch); writes BENCHMARKS.md
	$(CARGO) build --release --locked --workspace --bins --example bare_loop
	tests/load/setup.sh $(OLDER)
	.cache/load-python/bin/python tests/load/bench.py $(if $(OLDER),--older) --output BENCHMARKS.md

test-load: build ## Ten seconds of every kind of request by k6: nothing may fail
	tests/load/setup.sh
	.cache/load-python/bin/python tests/load/smoke.py

openapi: build ## Write openapi/openapi.json
	$(MARKETRANK) openapi --output openapi/openapi.json

clean: ## Remove what was built, fetched and stored
	rm -rf target .cache data runs
