# syntax=docker/dockerfile:1

# ---- build: thrown away afterwards -------------------------------------------------------------
FROM rust:1-slim-bookworm AS build
WORKDIR /build

# The dependencies are a layer of their own: they are built again only when a manifest changes.
# Empty sources stand for the real ones, because cargo wants every target that a manifest names.
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN find crates -type f ! -name Cargo.toml -delete \
 && for crate in . crates/*; do mkdir -p "$crate/src" && touch "$crate/src/lib.rs"; done \
 && echo 'fn main() {}' > src/main.rs \
 && mkdir benches \
 && sed -n '/^\[\[bench\]\]/,/^$/s/^name = "\(.*\)"/\1/p' Cargo.toml \
    | while read -r bench; do echo 'fn main() {}' > "benches/$bench.rs"; done
