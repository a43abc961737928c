#!/usr/bin/env bash
# A drill while packets between the nodes are lost: 5%, then 30% of them, each way.
#
#   scripts/loss.sh EXCHANGE DRILL...      as scripts/loss.sh target/release/exchange failover --rounds 2
#
# It runs in a network namespace of its own, whose nft drops packets of the nodes' link at random; what clients and etcd
# say arrives. Needs root, ip (Debian: iproute2) and nft (nftables). Exits with 77 where no such namespace can be made.
set -euo pipefail
exchange=$(realpath "$1")
shift
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT

inside() { unshare --net bash -c "ip link set lo up && nft -f '$rules' && $1"; }

loses() {
    cat >"$rules" <<END
table inet loss {
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr { 127.0.0.2, 127.0.0.3 } numgen random mod 100 < $1 counter drop
    ip saddr { 127.0.0.2, 127.0.0.3 } numgen random mod 100 < $1 counter drop
  }
}
END
}

loses 0
if ! why=$(inside true 2>&1); then
    echo "no network namespace with rules can be made here: $why"
    exit 77
fi
for percent in 5 30; do
    loses "$percent"
    echo "== $percent% of the packets between the nodes are lost"
    # A run in which nothing was lost has shown nothing.
    inside "'$exchange' drill $* && nft list ruleset | awk '/counter/ { for (i = 1; i < NF; i++) if (\$i == \"packets\") n += \$(i + 1) }
        END { print n + 0 \" packets lost\"; exit n == 0 }'"
done
