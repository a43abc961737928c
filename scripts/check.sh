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
# A step that fails does not stop the others. All builds share target/; loom, whose flags would rebuild everything,
# has target/loom, as have shuttle and ThreadSanitizer, and tools that this script installs are in target/tools.

set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# The versions that CI installs, not optimised, which takes half the time; any other that is on the PATH serves as well.
readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_FUZZ_VERSION=0.13.2
# Seconds for each cargo-fuzz target, and inputs for each seeded smoke test.
readonly FUZZ_SECONDS=10
readonly SMOKE_ITERATIONS=1000000

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

# run_tests PROFILE
run_tests() {
    if has cargo-nextest; then
        # More at a time than there are cores: a third of them wait for processes, disks and deadlines.
        cargo nextest run --locked --workspace --no-fail-fast --cargo-profile "$1" --test-threads "$(($(nproc) + ($(nproc) + 1) / 2))"
    else
        cargo test --locked --workspace --no-fail-fast --lib --bins --tests --profile "$1"
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

step_fast() {
    run_tests fast-tests
}

step_loom() {
    # Optimised, because the explorer is slow; a target directory of its own, because the flag rebuilds everything.
    export RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom
    some_tests cargo test --locked --profile fast-tests -p engine --lib loom
    some_tests cargo test --locked --profile fast-tests -p journal --lib no_wake_up_is_lost
}

step_shuttle() {
    # ITERATIONS and SEED are the tests' own: see engine/src/schedule/shuttle_tests.rs.
    export RUSTFLAGS="--cfg shuttle" CARGO_TARGET_DIR=target/shuttle
    some_tests cargo test --locked --profile fast-tests -p engine --lib shuttle
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
    some_tests cargo test --locked --profile fast-tests -p wire --test it smoke -- --nocapture
    some_tests cargo test --locked --profile fast-tests -p journal --test it fuzz -- --nocapture
    some_tests cargo test --locked --profile fast-tests -p cluster --lib frame -- --nocapture
    some_tests cargo test --locked --profile fast-tests -p engine --test it fuzz -- --nocapture
    some_tests cargo test --locked --profile fast-tests -p quotes --lib smoke -- --nocapture
}

step_fuzz() {
    if ! has cargo-fuzz && in_ci; then
        cargo install --debug --locked --quiet --root target/tools cargo-fuzz --version "$CARGO_FUZZ_VERSION"
    fi
    has cargo-fuzz || missing_tool cargo-fuzz "cargo install --locked cargo-fuzz (it needs a C++ compiler)"
    # Without a sanitizer, so that the stable toolchain serves: assertions and overflow checks are on.
    cargo fuzz build --sanitizer none
    export FUZZ_SECONDS
    # As many at a time as there are cores; what one says is shown when it is over.
    cargo fuzz list | xargs -P "$(nproc)" -I TARGET bash -c '
        said=$(cargo fuzz run --sanitizer none "$0" -- -max_total_time="$FUZZ_SECONDS" -max_len=512 -print_final_stats=0 2>&1)
        code=$?
        printf -- "--- %s\n%s\n" "$0" "$said"
        exit $code' TARGET
}

step_deny() {
    if ! has cargo-deny && in_ci; then
        cargo install --debug --locked --quiet --root target/tools cargo-deny --version "$CARGO_DENY_VERSION"
    fi
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
    some_tests cargo test --locked --profile fast-tests -p coordinator --features etcd-tests --test etcd
    some_tests cargo test --locked --profile fast-tests -p exchange --features etcd-tests,strace-tests --test it elected
}

step_disks() {
    apt_install strace strace
    strace -o /dev/null true || absent "processes cannot be traced here (ptrace)"
    some_tests cargo test --locked --profile fast-tests -p exchange --features etcd-tests,strace-tests --test it disks
}

step_loss() {
    apt_install ip iproute2
    apt_install nft nftables
    cargo build --locked --release
    local status=0
    scripts/loss.sh target/release/exchange || status=$?
    [[ $status != 77 ]] || absent "no network namespace with packet filters can be made here; it takes root"
    return "$status"
}

step_interop() {
    apt_install tshark tshark
    apt_install npm nodejs npm
    cargo build --locked --release
    scripts/interop.sh target/release/exchange
}

step_fix() {
    # The kit and QuickFIX's scripts are not part of the repository: they are named from outside, and what is not there is left out.
    [[ -n ${FIX_KIT:-} ]] || absent "FIX_KIT names no folder; scripts/fix-kit.sh says of what"
    if in_ci; then apt_install stunnel stunnel4; fi
    cargo build --locked --release
    if [[ -n $client ]]; then
        while kill -0 "$client" 2>/dev/null; do sleep 1; done
        cat "$state/client"
    fi
    scripts/fix-kit.sh target/release/exchange | tee "$state/output"
    ! grep '^left out: ' "$state/output" >"$state/reason" || return 0
    rm -f "$state/reason"
}

# QuickFIX's client is built from source, for minutes: while the steps before it leave a processor idle.
build_client() {
    [[ -n ${FIX_KIT:-} && -z ${FIX_PYTHON:-} ]] && in_ci || return 0
    nice -n 19 scripts/fix-kit.sh --build-client >"$state/client" 2>&1 &
    client=$!
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

state=$(mktemp -d)
trap '[[ -z ${client:-} ]] || kill "$client" 2>/dev/null; rm -rf "$state"' EXIT
trap 'exit 130' INT TERM
table=()
failures=0
begin=$SECONDS
client=
for step in "${STEPS[@]}"; do
    name=${step%%:*}
    [[ ${#chosen[@]} == 0 || " ${chosen[*]} " == *" $name "* ]] || continue
    printf '\n=== %s: %s\n' "$name" "${step#*:}"
    [[ $name != loom ]] || build_client
    rm -f "$state/reason"
    started=$SECONDS
    # A subshell with errexit of its own; in an `if` or `||` bash would switch that off.
    (set -e; "step_$name") </dev/null
    code=$?
    took=$((SECONDS - started))
    reason=$(cat "$state/reason" 2>/dev/null)
    case $code in
        0) result=passed ;;
        77) result=absent ;;
        *) result=FAILED; failures=$((failures + 1)); reason=${reason:-"exit code $code"} ;;
    esac
    printf '=== %s: %s after %d s\n' "$name" "$result" "$took"
    table+=("$(printf '%-9s %-7s %5d s  %s' "$name" "$result" "$took" "${reason:-${step#*:}}")")
done

printf '\n'
printf '%s\n' "${table[@]}"
printf '%d s in all, %d failed\n' $((SECONDS - begin)) "$failures"
[[ $failures == 0 ]]
