#!/usr/bin/env bash
# An outage while packets between the nodes of a pair are lost: 5%, then 30% of them, each way.
#
#   scripts/loss.sh EXCHANGE [ROUNDS] [SEED]
#
# Both nodes are killed under load and started again, in so many rounds (1), and nothing acknowledged is lost. At 30% a link
# stands still for seconds and breaks. Nobody is promoted here: a standby that may lack something, as it then often may, refuses.
#
# It runs in a network namespace of its own, whose nft drops packets of the nodes' link at random; what clients
# say arrives. Needs root, ip (Debian: iproute2) and nft (nftables). Exits with 77 where no such namespace can be made.
set -euo pipefail
exchange=$(realpath "$1")
rounds=${2:-1}
seed=${3:-1}
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
    inside "'$exchange' drill outage --rounds $rounds --seconds 15 --rate 500 --seed $seed && nft list ruleset | awk '
        /counter/ { for (i = 1; i < NF; i++) if (\$i == \"packets\") n += \$(i + 1) }
        END { print n + 0 \" packets lost\"; exit n == 0 }'"
done
