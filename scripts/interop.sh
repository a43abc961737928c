#!/usr/bin/env bash
# Lets software that is not ours talk to the exchange and read what was said.
#
#   scripts/interop.sh EXCHANGE-BINARY
#
# The npm package soupbintcp (a SoupBinTCP 3.00 client) logs in, trades and gets resends; tshark's SoupBinTCP dissector
# reads the recorded connections and must find the same messages under the same numbers, and no fault; its MoldUDP64
# dissector the same of the market data that was published meanwhile, and its FIX dissector of a FIX session. Needs node,
# npm (for the one package, pinned in interop/package-lock.json) and tshark; no privileges.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/interop" && pwd)
binary=$(realpath "$1")
work=$(mktemp -d)
exchange=
listener=
finish() {
    [[ -z $exchange ]] || kill "$exchange" 2>/dev/null || true
    [[ -z $listener ]] || kill "$listener" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

cp "$here"/*.js "$here"/*.json "$work"
(cd "$work" && npm ci --ignore-scripts --no-audit --no-fund --silent)

node "$work/listen.js" "$work" &
listener=$!
for _ in $(seq 200); do
    [[ ! -s $work/feed.port ]] || break
    sleep 0.05
done
"$binary" config | sed -e "s|^mold = .*|mold = [\"127.0.0.1:$(cat "$work/feed.port")\"]|" \
    -e '/^\[fix\]/,/^address/s|^address = .*|address = "127.0.0.1:0"|' >"$work/config.toml"
printf '[[users]]\nname = "TRADER"\npassword = "a-secret"\nprotocol = "fix"\n' >>"$work/config.toml"

"$binary" run --config "$work/config.toml" --data "$work/data" --soup 127.0.0.1:0 --shards 2 --json >"$work/out" 2>"$work/err" &
exchange=$!
port=
for _ in $(seq 200); do
    port=$(sed -n 's/.*"soup":"[^"]*:\([0-9]*\)".*/\1/p' "$work/out")
    [[ -z $port ]] || break
    kill -0 "$exchange" 2>/dev/null || break
    sleep 0.1
done
if [[ -z $port ]]; then
    echo "the exchange did not come up:" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
fi

fix_port=$(sed -n 's/.*"fix":"[^"]*:\([0-9]*\)".*/\1/p' "$work/out")

if ! node "$work/conversation.js" "$port" "$work" || ! node "$work/fix.js" "$fix_port" "$work"; then
    echo "what the exchange said:" >&2
    cat "$work/out" "$work/err" >&2
    exit 1
fi
kill -TERM "$exchange"
wait "$exchange"
exchange=
# It ends with the session.
wait "$listener"
listener=
tshark --version 2>/dev/null | head -n 1
node "$work/dissect.js" "$work"
