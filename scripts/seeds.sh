#!/usr/bin/env bash
# Inputs that fuzzing has found, kept in fuzz/seeds: a file for each target, an input a line, in hexadecimal digits.
# An ordinary test runs all of them (exchange/tests/it/seeds.rs).
#
#   scripts/seeds.sh give              puts them where cargo-fuzz begins: fuzz/corpus
#   scripts/seeds.sh keep [TARGET...]  keeps what fuzz/corpus has: the fewest inputs that reach whatever all of them reach.
#                                      Without a target those of each that has a corpus
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"

give() {
    local file
    for file in seeds/*; do
        local corpus=corpus/${file##*/}
        mkdir -p "$corpus"
        perl -ne 'chomp; open my $out, ">:raw", sprintf("'"$corpus"'/seed-%04d", $.) or die $!; print $out pack("H*", $_)' "$file"
    done
}

keep() {
    local target fewest
    for target in "$@"; do
        fewest=$(mktemp -d)
        # Every branch, not how often it was taken: hundreds of inputs instead of thousands.
        cargo fuzz run --sanitizer none "$target" "$fewest" "corpus/$target" -- \
            -set_cover_merge=1 -use_counters=0 -max_len=4096 2>"$fewest.log" ||
            { tail -20 "$fewest.log" >&2; exit 1; }
        mkdir -p seeds
        # The shortest first, so that a change shows little.
        find "$fewest" -type f -size +0 -exec perl -0777 -ne 'print unpack("H*", $_), "\n"' {} \; |
            awk '{ print length, $0 }' | LC_ALL=C sort -n -k1,1 -k2,2 | cut -d' ' -f2 >"seeds/$target"
        printf '%-16s %5d inputs of %d, %d bytes\n' "$target" "$(wc -l <"seeds/$target")" \
            "$(find "corpus/$target" -type f | wc -l)" "$(($(wc -c <"seeds/$target") / 2))"
        rm -rf "$fewest" "$fewest.log"
    done
}

case ${1:-} in
    give) give ;;
    keep)
        shift
        if [[ $# == 0 ]]; then mapfile -t targets < <(ls corpus); else targets=("$@"); fi
        keep "${targets[@]}"
        ;;
    *) echo "usage: $0 give | keep [TARGET...]" >&2; exit 2 ;;
esac
