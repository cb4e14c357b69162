# syntax=docker/dockerfile:1

# ---- manifests: what the dependencies' layer depends on ----------------------------------------
FROM rust:1-slim-bookworm AS manifests
WORKDIR /build
COPY . .
# Empty sources stand for the real ones, because cargo wants every target that a manifest names.
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete \
 && for crate in . crates/*; do mkdir -p "$crate/src" && touch "$crate/src/lib.rs"; done \
 && echo 'fn main() {}' > src/main.rs \
 && mkdir -p benches \
 && sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' Cargo.toml \
    | while read -r bench; do echo 'fn main() {}' > "benches/$bench.rs"; done

# ---- build: thrown away afterwards -------------------------------------------------------------
FROM rust:1-slim-bookworm AS build
WORKDIR /build

# The dependencies are a layer of their own: the same as long as no manifest changes.
COPY --from=manifests /build ./
RUN cargo build --profile dist --locked --bin recant

# Newer than the empty sources, so that cargo builds them.
COPY . .
RUN find . -name '*.rs' -not -path './target/*' -exec touch {} + \
 && cargo build --profile dist --locked --bin recant \
 && strip target/dist/recant \
 && mkdir /empty-data

# ---- image: the C library, the binary, its configuration ----------------------------------------
# No shell, no package manager, no compiler; the user `nonroot` is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/dist/recant /usr/local/bin/recant
COPY --from=build /build/config/default.toml /etc/recant/default.toml
# A volume takes owner and mode of the directory it covers.
COPY --from=build --chown=nonroot:nonroot /empty-data /data

USER nonroot
WORKDIR /data
VOLUME /data
EXPOSE 8080

# Inside a container loopback is reached by nobody, so it listens on all addresses; that takes an
# API key. Mount a configuration with [[access.keys]] over /etc/recant/default.toml.
ENV RECANT__SERVER__LISTEN=0.0.0.0:8080 \
    RECANT__STORE__DATA_DIR=/data \
    RECANT__LOG__FORMAT=json

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["/usr/local/bin/recant", "health", "--url", "http://127.0.0.1:8080/healthz"]

ENTRYPOINT ["/usr/local/bin/recant"]
CMD ["serve", "--config", "/etc/recant/default.toml"]
