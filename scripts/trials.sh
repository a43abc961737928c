#!/usr/bin/env bash
# The trials of docs/durability.md at their full counts, one after another: about two hours on two cores.
#
#   scripts/trials.sh                      all of them
#   scripts/trials.sh failover partition   these
#   scripts/trials.sh --list               what there is
#   ROUNDS=20 SEED=7 scripts/trials.sh     other counts, another seed (the same for all)
#   SOAK=600 scripts/trials.sh soak        the simulator on new seeds for so many minutes
#
# Each trial prints what it does as it goes and ends with its result; the table at the end has the results of all, and the
# exit code is 1 if one failed. Directories of a failed drill are kept, and it says where. Those with an etcd need the
# program `etcd` (Debian: etcd-server).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

readonly TRIALS=(
    "crash:SIGKILL under load and a restart, 200 times"
    "failover:SIGKILL of the node that leads under load, promotion, rejoining, 200 times"
    "outage:SIGKILL of both nodes at once under load, either leads afterwards, 50 times"
    "elected:the same where an etcd decides, 50 times"
    "partition:the link between two nodes cut and healed, standing alone by word of an operator, 20 times"
    "isolation:the link cut, then the leader from everything but its clients, where an etcd decides, 20 times"
    "loss:outages while 5% and 30% of the packets between the nodes are lost, 5 times each"
    "slow-disk:a standby that does not answer for a while, 20 times"
    "disk-full:a disk that runs short of room, 10 times"
    "storm:10,000 connections, SIGKILL under load, all come back at once, 10 times"
    "catch-up:a standby killed under load and started again, from segments and from a snapshot, 5 times each"
    "slow-consumer:a client that does not read beside the load, which is measured with and without it in turns, 20 times"
    "recovery:SIGKILL under load and while recovering, on shards, policies and balancing that change, 200 rounds"
    "simulator:10,000 seeds of primary, standby, etcd and clients with faults; each planted fault found"
    "soak:the simulator on new seeds for SOAK minutes (10)"
)

run() {
    local rounds=${ROUNDS:-$1} name=$2
    shift 2
    case $name in
        drill) target/release/exchange drill "$@" --rounds "$rounds" --seconds 1 --seed "${SEED:-1}" ;;
        loss) scripts/loss.sh target/release/exchange "$rounds" "${SEED:-1}" ;;
        catch-up) scripts/catch-up.sh target/release/exchange 50000 20 "$rounds" ;;
        recovery) CROUNDS=$rounds tests -p exchange --test it crash:: ;;
        simulator) RUNS=$rounds tests -p cluster sim:: ;;
        soak) SOAK=$rounds tests -p cluster nothing_acknowledged_is_lost_and_nothing_is_told_twice ;;
    esac
}

# The optimised build of the tests, with what they print.
tests() { cargo test --quiet --locked --profile fast-tests "$@" -- --nocapture; }

trial() {
    case $1 in
        crash) run 200 drill crash ;;
        failover) run 200 drill failover ;;
        outage) run 50 drill outage ;;
        elected) run 50 drill failover --etcd ;;
        partition) run 20 drill partition ;;
        isolation) run 20 drill partition --etcd ;;
        loss) run 5 loss ;;
        slow-disk) run 20 drill slow-disk ;;
        disk-full) run 10 drill disk-full ;;
        storm) run 10 drill storm ;;
        catch-up) run 5 catch-up ;;
        slow-consumer) run 20 drill slow-consumer ;;
        recovery) run 200 recovery ;;
        simulator) run 10000 simulator ;;
        soak) ROUNDS=${SOAK:-10} run 10 soak ;;
    esac
}

chosen=("$@")
if [[ ${1:-} == --list ]]; then
    for each in "${TRIALS[@]}"; do printf '%-13s %s\n' "${each%%:*}" "${each#*:}"; done
    exit
fi
if [[ $# == 0 ]]; then
    for each in "${TRIALS[@]}"; do chosen+=("${each%%:*}"); done
fi
for name in "${chosen[@]}"; do
    if [[ ! " ${TRIALS[*]%%:*} " == *" $name "* ]]; then
        echo "no trial is called \"$name\"; scripts/trials.sh --list has them" >&2
        exit 2
    fi
done

cargo build --quiet --locked --release || exit 1
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
failed=0
table=()
for name in "${chosen[@]}"; do
    echo "== $name"
    begin=$SECONDS
    trial "$name" 2>&1 | tee "$output/$name"
    state=passed
    [[ ${PIPESTATUS[0]} == 0 ]] || { state=FAILED; failed=1; }
    # The result of a drill or of the simulator, or that of the tests.
    said=$(grep -E '^(acknowledged|caught up|[0-9]+ runs from|test result)' "$output/$name" | tail -1 | cut -c1-200)
    table+=("$(printf '%-13s %-6s %5d s  %s' "$name" "$state" $((SECONDS - begin)) "$said")")
done
printf '\n%s\n' "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), $(nproc) cores"
printf '%s\n' "${table[@]}"
exit "$failed"
