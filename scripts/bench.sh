#!/usr/bin/env bash
# Every benchmark, one after another, with what each printed and its JSON in target/benchmarks/. On a quiet machine it
# takes some fifteen minutes. Arguments are given to each: scripts/bench.sh --quick
#
# Other people's order books are beside this: benches/peers, and scripts/referee.sh for the public referee.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$PWD/target/benchmarks
mkdir -p "$out"
cargo build --locked --release -p exchange
cargo bench --locked -p benches --no-run
for name in book ring balance journal end_to_end; do
    cargo bench --locked -p benches --bench "$name" -- --json "$out/$name.json" "$@" | tee "$out/$name.txt"
done
# criterion keeps its own JSON in target/criterion.
cargo bench --locked -p benches --bench codec -- "$@" | tee "$out/codec.txt"
