#!/usr/bin/env bash
# What each acknowledgement policy costs, in one run: the same load on four exchanges in turns, on loopback.
#
#   scripts/policies.sh [EXCHANGE] [ROUNDS] [RATE]
#
# EXCHANGE is a release build (default target/release/exchange); each round takes every policy once (default 5 rounds), first
# as an open loop of RATE orders a second (default 10,000; latency from the intended send time), then as a closed loop of 4 x 256
# in flight. Prints each figure's median over the rounds, with the lowest and the highest. The nodes of a pair share the
# machine's cores and its disk, which two machines would not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exchange=$(realpath "${1:-target/release/exchange}")
rounds=${2:-5}
rate=${3:-10000}
dir=$(mktemp -d)
pids=()
end() { [[ ${#pids[@]} == 0 ]] || kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"; }
trap end EXIT
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
"$exchange" keys --dir "$dir/keys" --node node-1 --node node-2 >/dev/null
declare -A address
for policy in memory disk disk+replica two-disks; do
    soup=$(free) first=$(free) second=$(free)
    address[$policy]=127.0.0.1:$soup
    arguments=(--data "$dir/$policy" --soup "127.0.0.1:$soup" --ack "$policy" --shards 1)
    pair=()
    if [[ $policy == *replica || $policy == two* ]]; then
        pair=(--node 1 --keys "$dir/keys" --listen "127.0.0.1:$first" --peer "127.0.0.1:$second")
    fi
    RUST_LOG=error "$exchange" run "${arguments[@]}" "${pair[@]}" >"$dir/$policy.log" 2>&1 &
    pids+=($!)
    until grep -q '^ready' "$dir/$policy.log"; do sleep 0.05; done
    if [[ ${#pair[@]} -gt 0 ]]; then
        RUST_LOG=error "$exchange" standby --node 2 --keys "$dir/keys" --listen "127.0.0.1:$second" \
            --primary "127.0.0.1:$first" --data "$dir/$policy-standby" --ack "$policy" --shards 1 >"$dir/$policy-standby.log" 2>&1 &
        pids+=($!)
        until "$exchange" node --data "$dir/$policy" | grep -q '"in_sync":true'; do sleep 0.05; done
    fi
done
for ((round = 1; round <= rounds; round++)); do
    for policy in memory disk disk+replica two-disks; do
        "$exchange" load --target "${address[$policy]}" --rate "$rate" --duration 3s --seed "$round" --json 2>/dev/null >"$dir/open.$policy.$round"
        "$exchange" load --target "${address[$policy]}" --closed-loop 256 --count 300000 --seed "$round" --json 2>/dev/null >"$dir/closed.$policy.$round"
    done
done
python3 - "$dir" "$rounds" "$rate" <<'PYTHON'
import json, statistics, sys
dir, rounds, rate = sys.argv[1], int(sys.argv[2]), sys.argv[3]
print(f"open loop {rate}/s: latency from the intended send time, us; closed loop 4 x 256: orders/s; median [lowest..highest] of {rounds} rounds in turns")
def figures(kind, policy, pick):
    values = [pick(json.load(open(f"{dir}/{kind}.{policy}.{n}"))) for n in range(1, rounds + 1)]
    return f"{statistics.median(values):10.0f} [{min(values):.0f}..{max(values):.0f}]"
for policy in ["memory", "disk", "disk+replica", "two-disks"]:
    due = lambda s: {p["percentile"].lstrip("p"): p["ns"] / 1000 for p in s["latency_ns"]["from_due_time"]["percentiles"]}
    row = [figures("open", policy, lambda s, q=q: due(s)[q]) for q in ("50", "99", "99.9")]
    row.append(figures("closed", policy, lambda s: s["done_orders_per_s"]))
    print(f"{policy:14}", *(f"{figure:>28}" for figure in row))
PYTHON
