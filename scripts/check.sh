#!/usr/bin/env bash
# Everything that must hold before a change is taken: the same here as in CI.
#
#   scripts/check.sh               every step
#   scripts/check.sh lint test     these steps
#   scripts/check.sh --list        the steps
#
# Each step ends as passed, FAILED or absent, and the table at the end says why. "absent" means that a tool is not on
# this machine; the line names the command that installs it. With CI=true the script installs the tools itself (as
# root, from apt, crates.io and npm) and a tool that cannot be had is a failure. Miri and ThreadSanitizer, which are in no
# such registry, may be absent there too.
#
# A step that fails does not stop the others; which tests failed, and how, is said again at the end, so that the end of a
# log is enough. All builds share target/; loom, whose flags would rebuild everything, has target/loom, as have shuttle and
# ThreadSanitizer, and tools that this script installs are in target/tools.
#
# Random tests draw the same in every run: SEED=n replays what one printed, SEED=random looks for something new.
#
# Tests wait for processes, disks and deadlines a third of their time. Meanwhile, at the lowest priority, what the steps to
# come need is built (build_NAME), and the slowest of it, QuickFIX's client, from the start.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# The versions that CI installs, not optimised, which takes half the time; any other that is on the PATH serves as well.
readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_FUZZ_VERSION=0.13.2
# Seconds for each cargo-fuzz target, and inputs for each seeded smoke test.
readonly FUZZ_SECONDS=8
readonly SMOKE_ITERATIONS=1000000

# What a step says passes through tee; colours are for who sits before it.
[[ ! -t 1 ]] || CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
export DEBIAN_FRONTEND=noninteractive
root=$PWD
export PATH="$root/target/tools/bin:$PATH"

# What each step is called, and what it holds. The function is step_NAME.
readonly STEPS=(
    "format:rustfmt changes nothing"
    "lint:clippy has nothing to say, in tests and benches too"
    "docs:rustdoc without a warning"
    "test:every test, debug build (assertions and book invariants on)"
    "doctest:the examples in the documentation"
    "fast:every test, optimised (longer random runs, real timing)"
    "loom:every interleaving of ring, scheduler, parking and waking the disk thread; faults put in are found"
    "shuttle:random interleavings of larger cases of the scheduler"
    "tsan:no data race that ThreadSanitizer can see, in the rings, the scheduler and the runtime"
    "miri:no undefined behaviour where there is unsafe code"
    "smoke:seeded mutations against the decoders, random bytes as commands"
    "fuzz:coverage-guided fuzzing, shortly"
    "deny:licences, sources and versions of dependencies"
    "etcd:the client of etcd, and pairs that it decides about, with three members of a real one; leaders killed, all down"
    "disks:a disk that is slow and one that fails, by strace's faults in real system calls"
    "loss:outages while packets between the nodes are lost, in a network namespace"
    "interop:other people's SoupBinTCP client and dissectors"
    "fix:other people's FIX scripts, whole and broken, and client, where they are at hand (scripts/fix-kit.sh)"
    "bench:every benchmark runs, on a small workload (no time is judged)"
    "demo:load, kill, recovery and proof, as the README shows it"
)

in_ci() { [[ ${CI:-} == true ]]; }
has() { command -v "$1" >/dev/null 2>&1; }

# Ends a step whose tool is not here: a failure where the script was to install it.
absent() {
    echo "absent: $1"
    echo "$1" >"$state/reason"
    exit 77
}
missing_tool() {
    if in_ci; then
        echo "$1 is missing and could not be installed"
        echo "$1 is missing" >"$state/reason"
        exit 1
    fi
    absent "no $1 here; to install it: $2"
}

# apt_install PROGRAM PACKAGE... : where CI may.
apt_install() {
    local program=$1
    shift
    if ! has "$program" && in_ci && [[ $(id -u) == 0 ]] && has apt-get; then
        echo "installing $*"
        apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    fi
    has "$program" || missing_tool "$program" "apt-get install $*"
}

# some_tests COMMAND... : a filter that matches nothing any more must not pass for success.
some_tests() {
    "$@" | tee "$state/output"
    grep -q 'test result: ok\. [1-9]' "$state/output" || { echo "no test ran: $*"; exit 1; }
}

# run_tests PROFILE ARGUMENT... : those that need nothing but this repository.
run_tests() {
    local profile=$1
    shift
    if has cargo-nextest; then
        # More at a time than there are cores: see above.
        cargo nextest run --locked --workspace --no-fail-fast --profile check --cargo-profile "$profile" \
            --test-threads "$(($(nproc) + ($(nproc) + 1) / 2))" "$@"
    else
        cargo test --locked --workspace --no-fail-fast --lib --bins --tests --profile "$profile"
    fi
}

# Optimised tests are built once, with those that need other programs: other features would build half of it again.
readonly FEATURES=(--features "coordinator/etcd-tests,exchange/etcd-tests,exchange/strace-tests")
readonly NEEDS_ETCD='(package(coordinator) and binary(etcd)) or (package(exchange) and test(/(^|::)elected::/))'
readonly NEEDS_STRACE='package(exchange) and test(/^disks::/)'

# fast_tests FILTER PACKAGE ARGUMENT... : those that the filter names, built as the step `fast` builds them. Without nextest
# those of a package and of cargo test's arguments.
fast_tests() {
    local filter=$1
    shift
    if has cargo-nextest; then
        # What they say is shown, seeds above all. A filter that matches nothing is a failure.
        cargo nextest run --locked --workspace --profile check --cargo-profile fast-tests "${FEATURES[@]}" --no-fail-fast \
            --success-output immediate -E "$filter"
    else
        some_tests cargo test --locked --profile fast-tests -p "$@"
    fi
}

step_format() {
    cargo fmt --all --check
    [[ ! -d fuzz ]] || cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo fmt --manifest-path benches/peers/Cargo.toml --check
}

step_lint() {
    cargo clippy --locked --workspace --all-targets -- -D warnings
    # What the public referee is given; its features decide what is exported.
    cargo clippy --locked -p abi --all-targets --all-features -- -D warnings
}

step_docs() {
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps
}

step_test() {
    run_tests dev
}

step_doctest() {
    cargo test --locked --workspace --doc
}

build_fast() {
    ! has cargo-nextest ||
        cargo nextest run --locked --workspace --cargo-profile fast-tests "${FEATURES[@]}" --no-run
}
step_fast() {
    run_tests fast-tests "${FEATURES[@]}" -E "not ($NEEDS_ETCD or $NEEDS_STRACE)"
}

# Optimised, because the explorer is slow; a target directory of its own, because the flag rebuilds everything.
loom() {
    RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test --locked --profile fast-tests --lib "$@"
}
build_loom() {
    loom --no-run -p engine
    loom --no-run -p journal
}
step_loom() {
    some_tests loom -p engine loom
    some_tests loom -p journal no_wake_up_is_lost
}

# ITERATIONS is the test's own: see engine/src/schedule/shuttle_tests.rs.
shuttle() {
    RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle cargo test --locked --profile fast-tests -p engine --lib "$@"
}
build_shuttle() {
    shuttle --no-run
}
step_shuttle() {
    some_tests shuttle shuttle
}

step_tsan() {
    # The standard library must be built with it, too, which takes its sources and a nightly compiler.
    local source
    source=$(rustc +nightly --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library/Cargo.toml
    [[ -f $source ]] ||
        absent "no nightly compiler with sources here; to install them: rustup toolchain install nightly --component rust-src"
    local target
    target=$(rustc +nightly --print host-tuple)
    # It knows no fences; those here order announcements of sleep and no data, so there is nothing to suppress.
    export RUSTFLAGS="-Zsanitizer=thread" CARGO_TARGET_DIR=target/tsan COMMANDS=20000
    local tsan=(cargo +nightly test --locked --profile fast-tests -Zbuild-std --target "$target" -p engine)
    some_tests "${tsan[@]}" --lib schedule::
    some_tests "${tsan[@]}" --lib runtime::
    some_tests "${tsan[@]}" --test it runtime::
}

step_miri() {
    local miri=(cargo +nightly miri)
    if ! "${miri[@]}" --version >/dev/null 2>&1; then
        miri=(cargo miri)
        "${miri[@]}" --version >/dev/null 2>&1 ||
            absent "this toolchain has no Miri; to install it: rustup toolchain install nightly --component miri,rust-src"
    fi
    # The ring, the scheduler and the book's arena are the unsafe code that Miri can run; it has no memory-mapped files.
    some_tests "${miri[@]}" test --locked -p engine --lib runtime::ring
    some_tests "${miri[@]}" test --locked -p engine --lib schedule::
    some_tests "${miri[@]}" test --locked -p engine --lib book::
}

step_smoke() {
    export ITERATIONS=$SMOKE_ITERATIONS
    fast_tests 'package(wire) and binary(it) and test(smoke)' wire --test it smoke -- --nocapture
    fast_tests 'package(journal) and binary(it) and test(fuzz)' journal --test it fuzz -- --nocapture
    fast_tests 'package(cluster) and kind(lib) and test(frame)' cluster --lib frame -- --nocapture
    fast_tests 'package(engine) and binary(it) and test(fuzz)' engine --test it fuzz -- --nocapture
    fast_tests 'package(quotes) and kind(lib) and test(smoke)' quotes --lib smoke -- --nocapture
}

build_fuzz() {
    if ! has cargo-fuzz && in_ci; then
        cargo install --debug --locked --quiet --root target/tools cargo-fuzz --version "$CARGO_FUZZ_VERSION"
    fi
    # Without a sanitizer, so that the stable toolchain serves: assertions and overflow checks are on.
    ! has cargo-fuzz || cargo fuzz build --sanitizer none
}
step_fuzz() {
    build_fuzz
    has cargo-fuzz || missing_tool cargo-fuzz "cargo install --locked cargo-fuzz (it needs a C++ compiler)"
    scripts/seeds.sh give
    export FUZZ_SECONDS
    # As many at a time as there are cores; what one says is shown when it is over.
    cargo fuzz list | xargs -P "$(nproc)" -I TARGET bash -c '
        said=$(cargo fuzz run --sanitizer none "$0" -- -max_total_time="$FUZZ_SECONDS" -max_len=1024 -print_final_stats=0 2>&1)
        code=$?
        printf -- "--- %s\n%s\n" "$0" "$said"
        exit $code' TARGET
}

build_deny() {
    if ! has cargo-deny && in_ci; then
        cargo install --debug --locked --quiet --root target/tools cargo-deny --version "$CARGO_DENY_VERSION"
    fi
}
step_deny() {
    build_deny
    has cargo-deny || missing_tool cargo-deny "cargo install --locked cargo-deny"
    # Advisories apart: deny.toml says why.
    cargo deny --locked check --hide-inclusion-graph bans licenses sources
}

step_etcd() {
    local installed=true
    has etcd || installed=false
    apt_install etcd etcd-server
    # Debian's package starts a service of its own, which is none of ours: members under test take other ports.
    if [[ $installed == false ]] && has systemctl; then
        systemctl disable --quiet --now etcd >/dev/null 2>&1 || true
    fi
    fast_tests 'package(coordinator) and binary(etcd)' coordinator --features etcd-tests --test etcd
    fast_tests "package(exchange) and ($NEEDS_ETCD)" exchange --features etcd-tests --test it elected::
}

step_disks() {
    apt_install strace strace
    strace -o /dev/null true || absent "processes cannot be traced here (ptrace)"
    fast_tests "$NEEDS_STRACE" exchange --features strace-tests --test it disks
}

# What ships. Steps that run it come one after the other, so one building ahead serves all.
release() {
    cargo build --locked --release
}
build_loss() { release; }
step_loss() {
    apt_install ip iproute2
    apt_install nft nftables
    release
    local status=0
    scripts/loss.sh target/release/exchange || status=$?
    [[ $status != 77 ]] || absent "no network namespace with packet filters can be made here; it takes root"
    return "$status"
}

build_interop() { release; }
step_interop() {
    apt_install tshark tshark
    apt_install npm nodejs npm
    release
    scripts/interop.sh target/release/exchange
}

build_fix() { release; }
step_fix() {
    # The kit and QuickFIX's scripts are not part of the repository: they are named from outside, and what is not there is left out.
    [[ -n ${FIX_KIT:-} ]] || absent "FIX_KIT names no folder; scripts/fix-kit.sh says of what"
    if in_ci; then apt_install stunnel stunnel4; fi
    release
    if [[ -z $client ]]; then build_client; fi
    if [[ -n $client ]]; then
        while kill -0 "$client" 2>/dev/null; do sleep 1; done
        cat "$state/client"
    fi
    scripts/fix-kit.sh target/release/exchange | tee "$state/output"
    ! grep '^left out: ' "$state/output" >"$state/reason" || return 0
    rm -f "$state/reason"
}

# QuickFIX's client is built from source by one compiler, for minutes.
build_client() {
    [[ -n ${FIX_KIT:-} && -z ${FIX_PYTHON:-} ]] && is_chosen fix && in_ci || return 0
    { background; exec scripts/fix-kit.sh --build-client; } >"$state/client" 2>&1 &
    client=$!
}

build_bench() {
    cargo test --locked --profile fast-tests -p benches --benches --no-run
}
step_bench() {
    # Built as tests, so that the builds above serve; each then takes its small workload.
    cargo test --locked --profile fast-tests -p benches --benches
}

step_demo() {
    cargo run --locked --release -- demo --seconds 2
}

# --- The runner.

chosen=()
for argument in "$@"; do
    if [[ $argument == --list ]]; then
        for step in "${STEPS[@]}"; do printf '%-9s %s\n' "${step%%:*}" "${step#*:}"; done
        exit 0
    fi
    [[ " ${STEPS[*]%%:*} " == *" $argument "* ]] || { echo "no step \"$argument\"; see --list" >&2; exit 2; }
    chosen+=("$argument")
done

is_chosen() { [[ ${#chosen[@]} == 0 || " ${chosen[*]} " == *" $1 "* ]]; }

state=$(mktemp -d)
client=
ahead=
trap '[[ -z $client$ahead ]] || kill $client $ahead 2>/dev/null; rm -rf "$state"' EXIT
trap 'exit 130' INT TERM

# What this shell starts from here on gets a processor when nothing else wants it.
background() {
    renice -n 19 -p "$BASHPID" >/dev/null
    ! has chrt || chrt --idle --pid 0 "$BASHPID" || true
}

# Builds what steps to come need, in their order. What fails here is built again, and said, by its step.
build_ahead() {
    background
    local step name
    for step in "${STEPS[@]}"; do
        name=${step%%:*}
        if is_chosen "$name" && declare -F "build_$name" >/dev/null && [[ ! -e $state/begun.$name ]]; then
            touch "$state/building.$name"
            (set -e; "build_$name") >"$state/ahead.$name" 2>&1 </dev/null
            rm -f "$state/building.$name"
        fi
    done
}
# One step alone builds what it needs.
if [[ ${#chosen[@]} != 1 ]]; then
    build_client
    build_ahead &
    ahead=$!
fi

# failed_tests FILE : those that nextest or cargo names as failed, each once.
failed_tests() {
    sed $'s/\e\\[[0-9;]*m//g' "$1" | awk '
        # nextest: "FAIL [   0.1s] ( 1/10) exchange::it seeds::found"; "SIGABRT", "TIMEOUT" and others likewise.
        $1 ~ /^(FAIL|TIMEOUT|LEAK-FAIL|ABORT|SIG[A-Z]+|XFAIL)$/ && /\[ *[0-9.]+s\]/ { name = $(NF - 1) " " $NF }
        /^test .* FAILED$/ { name = $2 }
        name != "" && !seen[name]++ { printf "%s%s", many++ ? ", " : "", name }
        { name = "" }'
}

# said_last FILE : what is worth saying again of what a failed step said: how tests ended, or else the end.
said_last() {
    local panics
    # With what stands below the place: the message, as far as it goes.
    panics=$(grep -A 6 ' panicked at ' "$1" | grep -vE 'stack backtrace:|^ +[0-9]+: |^ +at |^--$' | awk '!seen[$0]++' | head -n 80)
    if [[ -n $panics ]]; then echo "$panics"; else tail -n 40 "$1"; fi
}

table=()
again=()
failures=0
begin=$SECONDS
for step in "${STEPS[@]}"; do
    name=${step%%:*}
    is_chosen "$name" || continue
    printf '\n=== %s: %s\n' "$name" "${step#*:}"
    rm -f "$state/reason"
    started=$SECONDS
    touch "$state/begun.$name"
    # Two who install the same tool would be in each other's way.
    while [[ -e $state/building.$name ]]; do sleep 0.2; done
    # A subshell with errexit of its own; in an `if` or `||` bash would switch that off. No pipe: a process that a test
    # left behind would hold it open, and this script with it.
    exec {out}> >(exec tee "$state/said")
    tee=$!
    (set -e; "step_$name") </dev/null >&"$out" 2>&1
    code=$?
    exec {out}>&-
    for _ in {1..20}; do
        kill -0 "$tee" 2>/dev/null || break
        sleep 0.1
    done
    took=$((SECONDS - started))
    reason=$(cat "$state/reason" 2>/dev/null)
    case $code in
        0) result=passed ;;
        77) result=absent ;;
        *)
            result=FAILED
            failures=$((failures + 1))
            tests=$(failed_tests "$state/said")
            reason=${reason:-"exit code $code${tests:+: $tests}"}
            again+=("$name")
            said_last "$state/said" >"$state/last.$name"
            ;;
    esac
    printf '=== %s: %s after %d s\n' "$name" "$result" "$took"
    table+=("$(printf '%-9s %-7s %5d s  %s' "$name" "$result" "$took" "${reason:-${step#*:}}")")
done

for name in "${again[@]}"; do
    printf '\n=== %s: FAILED, as said above:\n' "$name"
    cat "$state/last.$name"
done
printf '\n'
printf '%s\n' "${table[@]}"
printf '%d s in all, %d failed\n' $((SECONDS - begin)) "$failures"
[[ $failures == 0 ]]
