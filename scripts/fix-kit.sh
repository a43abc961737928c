#!/usr/bin/env bash
# Lets other people's FIX scripts, script player and client talk to the exchange.
#
#   scripts/fix-kit.sh [--build-client] EXCHANGE-BINARY
#   scripts/fix-kit.sh --build-client          # and nothing else
#
# FIX_KIT      folder of the conformance kit: run.py, which plays QuickFIX's acceptance scripts, mutate.py, which breaks one
#              expectation in each, and client.py, which trades with a real QuickFIX. Needed. Our own scripts in that format
#              (exchange/tests/fix) are always played, as far as they have nothing that run.py does not know.
# FIX_SCRIPTS  folder with QuickFIX's fix44 and fix50sp2 (test/definitions/server of quickfix/quickfix; they are not part of
#              this repository). Every case must pass but those that fix-kit/scripts.py names, for the reason that it names;
#              every broken script must fail, where it was broken. Without FIX_SCRIPTS they are left out.
# FIX_PYTHON   a Python that can import quickfix. Without it the one that --build-client makes in ~/.cache (or
#              $XDG_CACHE_HOME), once: pip builds QuickFIX from source for some minutes. With neither, client.py is left out;
#              it goes plain, and over TLS if there is stunnel; and docs/fix/market_data.py watches the book beside it.
# SEED         from where on expectations are broken, 1 if it is not set; with "random" another one each time. It is printed.
#
# What was left out is said at the end.
set -euo pipefail

readonly QUICKFIX=quickfix==1.16.0
readonly VENV=${XDG_CACHE_HOME:-$HOME/.cache}/fulcrum/$QUICKFIX
readonly PASSWORD=a-secret
# Those of our own scripts.
INSTRUMENTS='{ symbol = "AAPL" }, { symbol = "MSFT" }, { symbol = "NVDA" }, { symbol = "AMZN" }, '
INSTRUMENTS+='{ symbol = "LOTS", tick = "0.05", lot = 100, quantity_max = 50, price_max = "1000.00" }'

build_client=
if [[ ${1:-} == --build-client ]]; then
    build_client=yes
    shift
fi

# With --build-client, QuickFIX is built if no Python here has it. Sets $python.
find_python() {
    python=${FIX_PYTHON:-$VENV/bin/python}
    if [[ -n $build_client ]] && ! "$python" -c 'import quickfix' 2>/dev/null; then
        python=$VENV/bin/python
        python3 -m venv "$VENV"
        "$VENV/bin/pip" install --quiet "$QUICKFIX"
    fi
}

if [[ -n $build_client && $# == 0 ]]; then
    find_python
    exit
fi
[[ $# == 1 ]] || { echo "usage: $0 [--build-client] EXCHANGE-BINARY, or --build-client alone" >&2; exit 2; }
binary=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ -f ${FIX_KIT:-}/run.py ]] || { echo "no run.py in FIX_KIT=${FIX_KIT:-}" >&2; exit 2; }
kit=$(realpath "$FIX_KIT")
seed=${SEED:-1}
[[ $seed != random ]] || seed=$((RANDOM + 1))

work=$(mktemp -d)
processes=()
left_out=()
finish() {
    [[ ${#processes[@]} == 0 ]] || kill "${processes[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# start NAME [TLS-FOLDER]: an exchange of its own. Sets $port to where it takes FIX, and $books to where it tells of books.
start() {
    local name=$1 tls=${2:-} user
    "$binary" config | awk -v tls="$tls" -v instruments="$INSTRUMENTS" '
        /^\[/ { section = $0 }
        /^instruments = \[/ { print "instruments = [" instruments "]"; inside = 1 }
        inside { inside = !/^\]/; next }
        section == "[fix]" && $1 == "address" { $0 = "address = \"127.0.0.1:0\"" }
        section == "[fix]" && $1 == "comp_id" { $0 = "comp_id = \"EXCH\"" }
        section == "[feed.fix]" && $1 == "address" { $0 = "address = \"127.0.0.1:0\"" }
        section == "[fix.tls]" && tls && $1 == "certificate" { $0 = "certificate = \"" tls "/server.pem\"" }
        section == "[fix.tls]" && tls && $1 == "key" { $0 = "key = \"" tls "/server.key\"" }
        { print }' >"$work/$name.toml"
    for user in ALICE BOB TRADER MAKER {W,B}{O,N}{44,50SP2}; do
        printf '[[users]]\nname = "%s"\npassword = "%s"\nprotocol = "fix"\n' "$user" "$PASSWORD" >>"$work/$name.toml"
    done
    "$binary" run --config "$work/$name.toml" --data "$work/$name" --soup 127.0.0.1:0 --shards 2 --json \
        >"$work/$name.out" 2>"$work/$name.err" &
    processes+=("$!")
    await "$!" "s/.*\"event\":\"ready\",\"fix\":\"[^\"]*:\([0-9]*\)\".*/\1/p" "$work/$name.out" "$work/$name.err"
    port=$awaited
    await "${processes[-1]}" 's/.*"event":"feed","fix":"[^"]*:\([0-9]*\)".*/\1/p' "$work/$name.out" "$work/$name.err"
    books=$awaited
}

# await PID SED-SCRIPT FILE...: until the script prints something of a file while the process lives. Sets $awaited.
await() {
    local process=$1 script=$2
    shift 2
    for _ in $(seq 600); do
        awaited=$(sed -n "$script" "$@" 2>/dev/null | head -n 1) || true # not there yet
        [[ -z $awaited ]] || return 0
        kill -0 "$process" 2>/dev/null || break
        sleep 0.1
    done
    echo "it did not come up; it said:" >&2
    cat "$@" >&2
    return 1
}

# play KIND VERSION SYMBOL FOLDER: the scripts of a folder. The one that a reset at logon would spoil has a user whose session is
# new. Names are as long as those in the scripts, which have lengths of messages written out.
play() {
    local user=$1O$2 new=$1N$2 symbol=$3 folder=$4 fresh=1a_ValidLogonMsgSeqNumTooHigh
    local run=(python3 "$kit/run.py" --port "$port" --server-id EXCH --password "$PASSWORD" --time-precision ms --text exact
        --before-disconnect 5 --adapt-orders --unique-clordid --order-fields "40=2,44=10.5,38=100,55=$symbol")
    # It ends with 1 where a case failed; scripts.py says which may.
    "${run[@]}" --client-id "$user" --reset-flag --skip "$fresh" --json "$work/$user.json" "$folder" || (($? == 1))
    "${run[@]}" --client-id "$new" --only "$fresh" --json "$work/$new.json" "$folder" || (($? == 1))
}

# Our own scripts, whole and broken, each on an exchange of its own. Numbers that it gives, as OrderID, are not compared.
play_own() {
    local folder script wrong=0
    mkdir "$work/own"
    # Without those that take steps of ours.
    grep -LE $'^i([0-9]+,)?(KILL|START|STOP|SLOWLY|TOGETHER|WAIT|WATCH)' "$here"/../exchange/tests/fix/*.def | xargs cp -t "$work/own"
    python3 "$here/fix-kit/scripts.py" break-own "$kit/mutate.py" "$work/own" "$work/broken/own" "$seed"
    for folder in "$work/own" "$work/broken/own"; do
        for script in "$folder"/*.def; do
            start fresh
            python3 "$kit/run.py" --port "$port" --ignore 37,17,527,1003 --json "${script%.def}.result" "$script" \
                >"$work/own.log" 2>&1 || (($? == 1)) || { cat "$work/own.log"; return 1; }
            kill "${processes[-1]}"
            wait "${processes[-1]}"
            unset 'processes[-1]'
            rm -rf "$work"/fresh*
        done
    done
    python3 "$here/fix-kit/scripts.py" judge "$work/own" "$work/own"/*.result || wrong=1
    python3 "$here/fix-kit/scripts.py" judge-broken "$work/broken/own" "$work/broken/own"/*.result || wrong=1
    return "$wrong"
}

play_scripts() {
    local version set symbol=0 symbols=(AAPL MSFT NVDA AMZN) players=() player wrong=0
    start scripts
    for version in 44 50SP2; do
        set=fix${version,,}
        python3 "$here/fix-kit/scripts.py" break "$kit/mutate.py" "$FIX_SCRIPTS/$set" "$work/broken/$set" "$seed"
        # All at once, since most of the time goes by in waiting for heartbeats; each with a book of its own.
        play W "$version" "${symbols[symbol++]}" "$FIX_SCRIPTS/$set" >"$work/$set.log" 2>&1 &
        players+=("$!")
        play B "$version" "${symbols[symbol++]}" "$work/broken/$set" >"$work/$set-broken.log" 2>&1 &
        players+=("$!")
    done
    processes+=("${players[@]}")
    for player in "${players[@]}"; do
        wait "$player" || { cat "$work"/*.log; echo "a script player ended with an error" >&2; return 1; }
    done
    for version in 44 50SP2; do
        set=fix${version,,}
        python3 "$here/fix-kit/scripts.py" judge "$FIX_SCRIPTS/$set" "$work/W"{O,N}"$version.json" || wrong=1
        python3 "$here/fix-kit/scripts.py" judge-broken "$work/broken/$set" "$work/B"{O,N}"$version.json" || wrong=1
    done
    return "$wrong"
}

# trade NAME: QuickFIX's sessions of two users, to $port.
trade() {
    "$python" "$kit/client.py" --port "$port" --sender ALICE --peer-sender BOB --target EXCH --symbol AAPL \
        --password "$PASSWORD" --reset --keep-store "$work/store-$1" --dictionary "$here/../docs/fix/FIX44.xml" \
        >"$work/client-$1.log" 2>&1 || { cat "$work/client-$1.log"; echo "client.py, $1: ended with $?" >&2; return 1; }
    echo "client.py, $1: $(grep -c '^ok ' "$work/client-$1.log") steps as expected"
}

# watch VERSION: a QuickFIX client that is told of the book in which two others trade.
watch() {
    local watching
    start "watched-$1"
    "$python" "$here/../docs/fix/market_data.py" --port "$books" --user TRADER --password "$PASSWORD" --version "$1" \
        --symbol AAPL --changes 11 >"$work/watch-$1.log" 2>&1 &
    watching=$!
    # It must have the book before it changes.
    await "$watching" 's/^AAPL - | -$/there/p' "$work/watch-$1.log"
    trade "watched-$1"
    wait "$watching" || { cat "$work/watch-$1.log"; echo "market_data.py, $1: ended with $?" >&2; return 1; }
    [[ $(grep -c 'traded 50 at' "$work/watch-$1.log") == 2 && $(tail -n 1 "$work/watch-$1.log") == "AAPL - | -" ]] ||
        { cat "$work/watch-$1.log"; echo "market_data.py, $1: did not see what was traded" >&2; return 1; }
    echo "market_data.py, $1: $(wc -l <"$work/watch-$1.log") lines as expected"
}

trade_by_tls() {
    "$binary" dev-cert --dir "$work/tls" >/dev/null
    start tls "$work/tls"
    cat >"$work/stunnel.conf" <<END
foreground = yes
pid =
debug = info
[fix]
client = yes
accept = 127.0.0.1:0
connect = 127.0.0.1:$port
CAfile = $work/tls/ca.pem
verifyChain = yes
checkHost = localhost
END
    stunnel "$work/stunnel.conf" >"$work/stunnel.log" 2>&1 &
    processes+=("$!")
    await "$!" 's/.*bound to 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$work/stunnel.log"
    port=$awaited
    trade TLS
}

echo "SEED=$seed"
play_own
if [[ -n ${FIX_SCRIPTS:-} ]]; then
    play_scripts
else
    left_out+=("QuickFIX's scripts: FIX_SCRIPTS names no folder with fix44 and fix50sp2")
fi

find_python
if "$python" -c 'import quickfix' 2>/dev/null; then
    start plain
    trade plain
    watch 4.4
    watch 5.0SP2
    if command -v stunnel >/dev/null; then
        trade_by_tls
    else
        left_out+=("client.py over TLS: no stunnel here; to install it: apt-get install stunnel4")
    fi
else
    left_out+=("client.py: $python cannot import quickfix; to build it: $0 --build-client")
fi

[[ ${#left_out[@]} == 0 ]] || printf 'left out: %s\n' "${left_out[@]}"
