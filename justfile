# One word each. `just` alone lists them; `.ci/run` is what a change must pass.

_default:
    @just --list --unsorted

# Everything a change must pass
ci:
    .ci/run

# Lay the sources out as rustfmt.toml says
format:
    cargo fmt --all

# What the compiler and clippy have to say, as errors
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All tests of all crates; `just test -p recant-store` for one
test *arguments:
    cargo test --locked {{ arguments }}

# The tests that kill, damage and cut off, in their long forms (an hour)
long-test seed="1":
    RECANT_KILLS=500 RECANT_KILL_SEED={{ seed }} cargo test --locked --test crash kill_nine::
    RECANT_DAMAGES=1000 cargo test --locked -p recant-store --test store damage_everywhere::
    RECANT_KILLS=60 cargo test --locked -p recant-jetstream --test jetstream survival::
    RECANT_KILLS=100 cargo test --locked -p recant-replication --test replication

# A benchmark by its name, with its arguments after --
bench name *arguments:
    cargo bench --locked --bench {{ name }} {{ arguments }}

# A decoder on inputs of a fuzzer, for some seconds
fuzz target seconds="60":
    fuzz/build
    fuzz/target/x86_64-unknown-linux-gnu/release/{{ target }} fuzz/corpus/{{ target }} -max_total_time={{ seconds }}

# The pages of the crates and the book, under target/doc and book/
docs:
    cargo doc --workspace --no-deps --locked
    mdbook build

# Licences, sources and known vulnerabilities of the libraries
deny:
    cargo deny check

# The binary that the image holds: slower to build, a few per cent faster
dist:
    cargo build --locked --profile dist --bin recant
