#!/usr/bin/env bash
# How fast a standby that was killed catches up with a primary that goes on trading, against the rate at which that one trades.
#
#   scripts/catch-up.sh [EXCHANGE] [RATE] [SECONDS] [ROUNDS]
#
# EXCHANGE is a release build (default target/release/exchange). A pair trades by an open loop of RATE orders a second (default
# 50,000). A round: the standby is killed (SIGKILL), stays away for SECONDS (default 10), and is started again,
#   segments   on its own directory: it is brought what it missed out of the primary's segments;
#   snapshot   on an empty directory: it gets the primary's newest snapshot, and everything behind it.
# ROUNDS of each (default 3), in turns. A time ends when the standby has everything but LAG bytes (default 256 KiB) and the primary
# counts it as in sync. It begins twice: `from the start` when the standby's process is started, so its own recovery is in it, and
# `link` when that is over and it looks for the primary. What is caught up with is the backlog at the start and what came until
# the end; a rate is that by the time, and `of live` what it is to the primary's bytes a second over the same time. (With a
# snapshot the primary sends more than is counted: its copy begins where the snapshot's segment does.) At the end the standby's
# books must not differ, and the two journals must be one. Exits with 1 when they are not, or when a median of `link` is less than
# WANTED (default 3) times the live rate.
# The primary acknowledges from its own disk (`--ack disk`), so it goes on without a standby. Both nodes and the load share the
# machine's cores and its disk, which two machines would not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exchange=$(realpath "${1:-target/release/exchange}")
exec python3 - "$exchange" "${2:-50000}" "${3:-10}" "${4:-3}" "${LAG:-262144}" "${WANTED:-3}" <<'PYTHON'
import json, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time

exchange, rate, away, rounds, lag, wanted = sys.argv[1], *map(int, sys.argv[2:])
root = tempfile.mkdtemp(prefix="catch-up-")
os.environ["RUST_LOG"] = "error"
children = []
signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))


def free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


def run(*args):
    done = subprocess.run([exchange, *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"exchange {' '.join(args)}: {done.stdout}{done.stderr}")
    return done.stdout


def snapshot():
    """Makes one, when the one that the primary may be making by itself is ready."""
    for _ in range(600):
        done = subprocess.run([exchange, "snapshot", "--data", f"{root}/a"], capture_output=True, text=True)
        if done.returncode == 0:
            return
        time.sleep(0.1)
    sys.exit(f"no snapshot: {done.stderr}")


def launch(log, *args):
    with open(f"{root}/{log}", "w") as out:
        child = subprocess.Popen([exchange, *args], stdout=out, stderr=subprocess.STDOUT)
    children.append(child)
    return child


def wait(log, word, child):
    while word not in open(f"{root}/{log}").read():
        if child.poll() is not None:
            sys.exit(f"the exchange ended before it said '{word}':\n" + open(f"{root}/{log}").read())
        time.sleep(0.002)


def status():
    """Of the primary, with the time at which it was so, or a little before."""
    return json.loads(run("node", "--data", f"{root}/a")), time.monotonic()


def caught_up(now):
    standby = now["standby"]
    return bool(standby) and standby["in_sync"] and now["committed"] - standby["received"] <= lag


def wait_caught_up():
    while True:
        now, at = status()
        if caught_up(now):
            return now, at
        time.sleep(0.002)


soup, first, second = free(), free(), free()
node = lambda number, data: ["--node", str(number), "--keys", f"{root}/keys", "--data", f"{root}/{data}", "--ack", "disk", "--shards", "1"]


def follow():
    return launch("standby.log", "standby", "--soup", free(), "--listen", second, "--primary", first, *node(2, "b"))


def one_round(kind):
    global standby
    if kind == "snapshot":
        snapshot()
    standby.kill()
    standby.wait()
    has, _ = status()
    received = (has["standby"] or {}).get("received")
    if received is None:
        received = json.loads(run("journal", "info", "--data", f"{root}/b", "--json"))["end"]
    time.sleep(away)
    if kind == "snapshot":
        shutil.rmtree(f"{root}/b")
        received = json.loads(run("journal", "info", "--data", f"{root}/a", "--json"))["snapshots"][0]["position"]
    begin, began = status()
    standby = follow()
    wait("standby.log", "node 2 follows", standby)
    link, linked = status()
    end, ended = wait_caught_up()
    has = end["standby"]["received"]
    live = (end["committed"] - begin["committed"]) / (ended - began)
    whole, by_link = (has - received) / (ended - began), (has - received) / (ended - linked)
    print(
        f"{kind:9} {(begin['committed'] - received) / 2**20:8.1f} MiB behind, {live / 2**20:6.1f} MiB/s live:"
        f" from the start {ended - began:6.2f} s, {whole / 2**20:7.1f} MiB/s, {whole / live:5.1f} of live;"
        f" link {ended - linked:6.2f} s, {by_link / 2**20:7.1f} MiB/s, {by_link / live:5.1f} of live",
        flush=True,
    )
    return whole / live, by_link / live


try:
    run("keys", "--dir", f"{root}/keys", "--node", "node-1", "--node", "node-2")
    primary = launch("primary.log", "run", "--soup", soup, "--listen", first, "--peer", second, *node(1, "a"))
    wait("primary.log", "ready", primary)
    standby = follow()
    wait_caught_up()
    with open(f"{root}/load.json", "w") as out:
        load = subprocess.Popen(
            [exchange, "load", "--target", soup, "--rate", str(rate), "--duration", "1h", "--json"], stdout=out, stderr=subprocess.STDOUT
        )
    children.append(load)
    time.sleep(2)
    wait_caught_up()
    print(f"open loop of {rate} orders/s, standby away for {away} s, caught up within {lag} bytes")
    found = {kind: [] for kind in ("segments", "snapshot")}
    for _ in range(rounds):
        for kind, ratios in found.items():
            ratios.append(one_round(kind))
            if load.poll() is not None:
                sys.exit("the load ended:\n" + open(f"{root}/load.json").read()[-2000:])
            time.sleep(1)
    load.terminate()
    load.wait()
    now, _ = status()
    while now["standby"]["received"] != now["committed"]:
        time.sleep(0.02)
        now, _ = status()
    differs = json.loads(run("node", "--data", f"{root}/b"))["differs"]
    if differs is not None:
        sys.exit(f"the standby's books are not those of its journal: {differs}")
    run("journal", "diff", "--data", f"{root}/a", "--data", f"{root}/b")
    links = []
    for kind, ratios in found.items():
        for which, values in zip(("from the start", "link"), zip(*ratios)):
            median = statistics.median(values)
            print(f"{kind}, {which}: {median:.1f} [{min(values):.1f}..{max(values):.1f}] times the live rate")
        links.append(median)
    print(f"caught up at {links[0]:.1f} times the live rate from segments, {links[1]:.1f} from a snapshot (wanted: {wanted})")
    if min(links) < wanted:
        sys.exit(1)
finally:
    for child in children:
        child.kill()
        child.wait()
    shutil.rmtree(root, ignore_errors=True)
PYTHON
