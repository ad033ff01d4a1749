# Every command works on a fresh Debian with Rust, Python 3 and pip. DATA is the folder of the real listings
# (Products.csv, Images.csv, images/); only prepare and what follows it need it.

CARGO  ?= cargo
DATA   ?= ../shared/data/marketplace
CLEAN  ?= data/clean
LISTEN ?= 127.0.0.1:8080
LISTINGS ?= 10000

MARKETRANK       = target/release/marketrank
MARKETRANK_TRAIN = target/release/marketrank-train

.PHONY: bench-ranking evaluate-ranking tune-ranking help run test setup build weights sample prepare train export quantize evaluate import openapi clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: sample ## Set everything up and serve the sample listings on port 8080
	$(MARKETRANK) serve --listen $(LISTEN)

test: setup weights ## Format, lints, unit tests, and black-box tests over HTTP against the real models
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- --deny warnings
	$(CARGO) test --release --locked --workspace --lib --bins --tests

setup: ## Bring the ONNX Runtime library
	@./setup/onnxruntime.sh

weights: ## Bring the pretrained weights that training starts from
	@./training/weights.sh

build: setup
	$(CARGO) build --release --locked --workspace

sample: build
	$(MARKETRANK) import sample/products.csv --photos sample/photos

prepare: build ## Clean and split the listings in DATA
	$(MARKETRANK_TRAIN) prepare --data $(DATA) --out $(CLEAN)

train: prepare weights ## Train the three models on the prepared listings
	$(MARKETRANK_TRAIN) train text --clean $(CLEAN)
	$(MARKETRANK_TRAIN) train image --clean $(CLEAN)
	$(MARKETRANK_TRAIN) train combined --clean $(CLEAN)

export: prepare weights ## Write the trained models to models/
	$(MARKETRANK_TRAIN) export --clean $(CLEAN)

quantize: prepare weights ## Add int8 models to models/, measured as export does
	$(MARKETRANK_TRAIN) quantize --clean $(CLEAN)

evaluate: prepare ## Measure models/ on the test split, through ONNX Runtime and the server's own preprocessing
	$(MARKETRANK_TRAIN) evaluate --clean $(CLEAN)

evaluate-ranking: prepare weights ## Measure what the ranking finds for titles and photos of the test split, signal by signal
	$(MARKETRANK_TRAIN) evaluate --ranking --clean $(CLEAN)

tune-ranking: prepare weights ## Look for better weights of the ranking's signals, on the validation split
	$(MARKETRANK_TRAIN) evaluate --ranking --tune --clean $(CLEAN)

import: prepare ## Fill the catalogue with the prepared listings
	$(MARKETRANK) import $(CLEAN)/products.csv --photos $(CLEAN)/photos

bench-ranking: setup ## What ranking costs at LISTINGS listings (default 10000)
	$(CARGO) build --release --locked --workspace --example bench_ranking
	target/release/examples/bench_ranking --listings $(LISTINGS)

openapi: build ## Write openapi/openapi.json
	$(MARKETRANK) openapi --output openapi/openapi.json

clean: ## Remove what was built, fetched and stored
	rm -rf target .cache data runs
