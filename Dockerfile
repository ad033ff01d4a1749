# syntax=docker/dockerfile:1
# The server on the CPU: `docker build -t marketrank .`
# `--target train` builds the training program instead.

FROM python:3.13-slim-bookworm AS onnxruntime
WORKDIR /source
COPY setup ./setup
RUN ./setup/onnxruntime.sh

FROM python:3.13-slim-bookworm AS weights
WORKDIR /source
COPY training/weights.sh training/weights-requirements.txt ./training/
RUN ./training/weights.sh

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY Cargo.toml Cargo.lock ./
COPY src ./src
COPY training ./training
# Named in Cargo.toml, so cargo wants to see them.
COPY benches ./benches
# The caches stay on the builder, so the programs are copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --workspace --bins \
    && install -D --strip --target-directory=/programs target/release/marketrank target/release/marketrank-train

FROM debian:bookworm-slim AS base
# Certificates for photos that are given by URL, curl for the health check.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl libstdc++6 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 marketrank \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin marketrank \
    && install --directory --owner=marketrank --group=marketrank /data
WORKDIR /opt/marketrank
COPY --from=onnxruntime /source/.cache/onnxruntime/libonnxruntime.so /usr/local/lib/libonnxruntime.so
ENV MARKETRANK_ONNXRUNTIME=/usr/local/lib/libonnxruntime.so
USER 10001:10001
VOLUME /data

FROM base AS train
LABEL org.opencontainers.image.title="marketrank-train" \
      org.opencontainers.image.description="Makes marketrank's models from a marketplace's own listings" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /programs/marketrank-train /usr/local/bin/marketrank-train
COPY --from=weights /source/.cache/weights /opt/marketrank/weights
COPY LICENSE-APACHE LICENSE-MIT THIRD-PARTY.md ./
ENV MARKETRANK_IMAGE_WEIGHTS=/opt/marketrank/weights/efficientnet_lite2.pth \
    MARKETRANK_TEXT_WEIGHTS=/opt/marketrank/weights/minilm
WORKDIR /data
ENTRYPOINT ["marketrank-train"]
CMD ["--help"]

FROM base AS server
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="marketrank" \
      org.opencontainers.image.description="Which category is this listing, and which listings should this buyer see first?" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /programs/marketrank /usr/local/bin/marketrank
COPY models ./models
COPY sample ./sample
COPY LICENSE-APACHE LICENSE-MIT THIRD-PARTY.md ./
# Inside a container every address is the container's own; what is published is the host's choice. Give it
# MARKETRANK_API_KEYS_FILE, or MARKETRANK_OPEN=true where whoever reaches it may come in: without either it does not start.
ENV MARKETRANK_MODELS=/opt/marketrank/models \
    MARKETRANK_DATA_DIR=/data/catalogue \
    MARKETRANK_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "curl --fail --silent --insecure --output /dev/null http${MARKETRANK_TLS_CERT:+s}://127.0.0.1:${MARKETRANK_LISTEN##*:}/health/ready"]
ENTRYPOINT ["marketrank"]
CMD ["serve"]
