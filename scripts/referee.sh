#!/usr/bin/env bash
# Our order book before the public referee, flash1-dev/matching-engine-benchmark: conformance gate, the five scenarios
# (timed and audited), other seeds, and other engines beside ours. docs/benchmarks.md has what is measured.
#
#   git clone https://github.com/flash1-dev/matching-engine-benchmark REFEREE
#   scripts/referee.sh REFEREE [OPTION...]
#
#   --repeats N           timed runs of each engine and scenario, interleaved; 5
#   --scenarios A,B       of static,normal,swing-25,swing-40,flash-crash; all
#   --seeds 23,1-20       seed 23, whose hashes are published, is timed and audited; for any other seed our hash must
#                         be that of every peer; 23
#   --variants A,B        of ours, see below; batch-4m,call-4m,batch-1m,batch-referee,call-referee
#   --peer NAME=FILE.so   another engine, built by whoever wants it here (the referee has scripts); may be repeated
#   --matcher-core N      0
#   --drainer-core N      1
#   --no-gate, --no-audit, --no-time
#   --instructions        instructions a message of each of our variants, by valgrind's callgrind, and nothing else
#
# Variants: batch delivers runs of messages through engine_on_batch, call one message a call; 4m and 1m are our own ring
# with 4,194,304 and 1,048,576 slots (the referee asks for 1,048,576 or more), referee is the queue that it brings.
#
# Needs a C++ compiler and Boost's headers for the referee, python3 for its gate, and, in the referee's directory, the
# adapters that it judges by: liquibook for the audit; that, quantcup, cpp_orderbook, llc993 and hroptatyr_clob for the
# gate. This script builds the referee's own harness and our library, and fetches nothing. Without an adapter the step
# that needs it says so and the script fails, unless the step was switched off.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { echo "referee.sh: $*" >&2; exit 2; }

[[ $# -ge 1 && $1 != -* ]] || { sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2; }
referee=$(cd "$1" && pwd) || die "no directory $1"
shift
[[ -f $referee/api/matching_engine_api.h ]] || die "$referee is no checkout of the referee"

repeats=5
scenarios=(static normal swing-25 swing-40 flash-crash)
seeds=(23)
variants=(batch-4m call-4m batch-1m batch-referee call-referee)
peers=()
matcher=0 drainer=1
gate=1 audit=1 time=1 instructions=0

# numbers 23,1-20: one a line.
numbers() {
    local part
    for part in ${1//,/ }; do
        [[ $part =~ ^[0-9]+(-[0-9]+)?$ ]] || die "seeds are numbers and ranges, not \"$part\""
        seq "${part%-*}" "${part#*-}"
    done
}

while [[ $# -gt 0 ]]; do
    option=$1
    shift
    case $option in
        --no-gate) gate=0 ;;
        --no-audit) audit=0 ;;
        --no-time) time=0 ;;
        --instructions) instructions=1 ;;
        --repeats | --scenarios | --seeds | --variants | --peer | --matcher-core | --drainer-core)
            [[ $# -gt 0 ]] || die "$option needs a value"
            value=$1
            shift
            case $option in
                --repeats) repeats=$value ;;
                --scenarios) IFS=, read -ra scenarios <<<"$value" ;;
                --seeds) mapfile -t seeds < <(numbers "$value") ;;
                --variants) IFS=, read -ra variants <<<"$value" ;;
                --peer)
                    [[ $value == *=* && -f ${value#*=} ]] || die "--peer NAME=FILE.so, not $value"
                    peers+=("${value%%=*}=$(realpath "${value#*=}")")
                    ;;
                --matcher-core) matcher=$value ;;
                --drainer-core) drainer=$value ;;
            esac
            ;;
        *) die "no option $option" ;;
    esac
done

# --- What is run: names, libraries, and which queue.

out=$root/target/referee
mkdir -p "$out"
names=() libraries=() queues=()
for variant in "${variants[@]}"; do
    case $variant in
        batch-* | call-*) ;;
        *) die "no variant $variant" ;;
    esac
    case ${variant#*-} in
        4m) queue=4194304 ;;
        1m) queue=1048576 ;;
        referee) queue=referee ;;
        *) die "no variant $variant" ;;
    esac
    names+=("$variant")
    libraries+=("$out/fulcrum_${variant%%-*}.so")
    queues+=("$queue")
done
ours=${#names[@]}
for peer in "${peers[@]+"${peers[@]}"}"; do
    names+=("${peer%%=*}")
    libraries+=("${peer#*=}")
    queues+=(-)
done

build() { # build NAME FEATURES
    cargo build --quiet --locked --profile referee -p abi --no-default-features --features "$2" \
        --manifest-path "$root/Cargo.toml"
    cp "$out/libfulcrum_abi.so" "$out/fulcrum_$1.so"
}
build call ""
build batch batch

cd "$referee"
if [[ ! -x harness || ! -x generator ]]; then
    echo "building the referee's harness"
    if command -v cmake >/dev/null; then
        make all >/dev/null
    else
        # What its CMakeLists.txt says.
        g++ -std=c++20 -O3 -Iapi workload/generator.cpp -o generator
        gcc -O3 -c third_party/sha256.c -o "$out/sha256.o"
        g++ -std=c++20 -O3 -Iapi -Ithird_party src/*.cpp "$out/sha256.o" -pthread -ldl -o harness
    fi
fi

# run INDEX ARGUMENT... : the harness over one engine; what it printed is in $printed.
run() {
    local index=$1
    shift
    printed=$(FULCRUM_REPORT_QUEUE=${queues[$index]} ./harness --engine "${libraries[$index]}" \
        --matcher-core "$matcher" --drainer-core "$drainer" "$@" 2>&1) || true
}
said() { sed -n "s/^ *$1: *\([^ ]*\).*/\1/p" <<<"$printed" | head -1; }

failed=0
fail() { echo "FAILED: $*"; failed=1; }

machine() {
    sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1
    printf 'kernel %s, load %s, matcher on core %s, drainer on core %s, %s\n' "$(uname -r)" \
        "$(cut -d' ' -f1-3 /proc/loadavg)" "$matcher" "$drainer" "$(rustc --version)"
    printf 'ours: profile "referee" (release, lto fat, 1 codegen unit, panic abort, overflow checks on), no target-cpu\n'
}
machine

# --- Instructions a message.

if [[ $instructions == 1 ]]; then
    command -v valgrind >/dev/null || die "valgrind is missing"
    printf '\n%-15s %-12s %s\n' variant scenario "instructions a message (100,000 new orders, seed 23)"
    for ((i = 0; i < ours; i++)); do
        for scenario in "${scenarios[@]}"; do
            # What the referee calls inside its clock; a ring that need not be prefaulted at length.
            printed=$(FULCRUM_REPORT_QUEUE=${queues[$i]/4194304/1048576} valgrind --tool=callgrind \
                --callgrind-out-file="$out/callgrind.${names[$i]}.$scenario" --toggle-collect='engine_on_*' \
                ./harness --engine "${libraries[$i]}" --matcher-core "$matcher" --drainer-core "$drainer" \
                --scenario "$scenario" --count 100000 2>&1) || true
            awk -v messages="$(said 'Messages processed')" -v name="${names[$i]}" -v scenario="$scenario" \
                '/Collected :/ { printf "%-15s %-12s %.1f\n", name, scenario, $4 / messages }' <<<"$printed"
        done
    done
    exit 0
fi

# --- The conformance gate.

if [[ $gate == 1 ]]; then
    printf '\nconformance gate\n'
    for library in $(printf '%s\n' "${libraries[@]:0:$ours}" | sort -u); do
        if verdict=$(scripts/conformance_check.py "$library" 2>&1); then
            tail -1 <<<"$verdict"
        else
            fail "$(tail -3 <<<"$verdict")"
        fi
    done
fi

# --- Time, interleaved: every engine once, then every engine again.

wants_23=0
for seed in "${seeds[@]}"; do [[ $seed != 23 ]] || wants_23=1; done
times=$(mktemp)
trap 'rm -f "$times"' EXIT
if [[ $time == 1 && $wants_23 == 1 ]]; then
    for ((repeat = 0; repeat < repeats; repeat++)); do
        for scenario in "${scenarios[@]}"; do
            for i in "${!names[@]}"; do
                run "$i" --scenario "$scenario" --mode perf
                [[ $(said Verdict) == VALID ]] || fail "${names[$i]}, $scenario: $printed"
                echo "${names[$i]} $scenario $(said Throughput)" >>"$times"
            done
        done
    done
    printf '\nseed 23, M messages/s, median [low..high] of %s; the last column is the worst median\n' "$repeats"
    {
        printf 'engine %s worst\n' "${scenarios[*]}"
        for name in "${names[@]}"; do
            line=$name worst=
            for scenario in "${scenarios[@]}"; do
                mapfile -t sorted < <(awk -v n="$name" -v s="$scenario" '$1 == n && $2 == s { print $3 }' "$times" | sort -n)
                median=${sorted[$((${#sorted[@]} / 2))]}
                line+=" $median[${sorted[0]}..${sorted[-1]}]"
                worst=$(printf '%s\n' "$median" ${worst:+"$worst"} | sort -n | head -1)
            done
            echo "$line $worst"
        done
    } | column -t
fi

# --- The audit: book states at random points, against Liquibook.

if [[ $audit == 1 && $wants_23 == 1 ]]; then
    printf '\naudit, seed 23 (in static, Liquibook alone takes a minute or more; the referee gives it two)\n'
    for ((i = 0; i < ours; i++)); do
        # One variant of each library: a queue changes nothing in a book.
        [[ ${names[$i]} == *-"${variants[0]#*-}" ]] || continue
        for scenario in "${scenarios[@]}"; do
            run "$i" --scenario "$scenario" --mode audit
            state=$(sed -n 's/^ *State audit: //p' <<<"$printed")
            [[ $(said Verdict) == VALID ]] || fail "${names[$i]}, $scenario: $(tail -15 <<<"$printed")"
            printf '%-15s %-12s %s, %s\n' "${names[$i]}" "$scenario" "$(said Verdict)" "$state"
        done
    done
fi

# --- Other seeds: nobody has published their hashes, so the peers are the judges.

for seed in "${seeds[@]}"; do
    [[ $seed != 23 ]] || continue
    [[ ${#names[@]} -gt $ours ]] || { fail "seed $seed has no published hash: name a --peer to compare with"; break; }
    for scenario in "${scenarios[@]}"; do
        hashes=()
        for i in "${!names[@]}"; do
            # Of ours one variant for each library: queues do not change what is said.
            [[ $i -ge $ours || ${names[$i]} == *-"${variants[0]#*-}" ]] || continue
            run "$i" --scenario "$scenario" --seed "$seed"
            hashes+=("$(said 'Computed hash')")
        done
        rm -f "orders_${scenario}_s${seed}_n1000000.bin"
        if [[ -n ${hashes[0]} && $(printf '%s\n' "${hashes[@]}" | sort -u | wc -l) == 1 ]]; then
            echo "seed $seed $scenario: ${#hashes[@]} engines agree, ${hashes[0]:0:16}"
        else
            fail "seed $seed $scenario: ${hashes[*]}"
        fi
    done
done

[[ $failed == 0 ]] && echo "all VALID" || { echo "NOT all valid"; exit 1; }
