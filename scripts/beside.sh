#!/usr/bin/env bash
# What it costs those who trade that others ask for all they were told again, or are there by the thousand and do nothing.
#
#   scripts/beside.sh [EXCHANGE] [PART] [ROUNDS] [RATE] [SECONDS]
#
# EXCHANGE is a release build (default target/release/exchange); PART is resend, idle-fix, idle-soup or all (default). ROUNDS
# (default 7) of SECONDS (default 3) each, in each of which every arm is measured once, in alternating order: an open loop of RATE
# requests a second (default 5,000) from 4 SoupBinTCP sessions, `exchange load`, seed = round, latency from when a request was due.
#   resend     a FIX session has REPORTS (default 100,000) reports; the exchange is killed (SIGKILL) and started again. Arms:
#              nobody asks; the session logs on and asks for all of them (7=1) once; it asks again as soon as it has all.
#   idle-fix   SESSIONS (default 5,000) FIX sessions are logged on and say nothing but a heartbeat each 30 s, or are not there.
#   idle-soup  the same with SoupBinTCP, where the exchange says each second that it lives.
# ACK (default disk) is the ack policy, RESEND_PER_S another limits.resend_per_s than the default.
# Memory is RssAnon of the exchange (/proc/PID/status): buffers of the kernel are not in it. The sessions are held, and what is
# sent again is read, by this script, on the same machine. Its threads that do so have the lowest priority (nice 19), as clients
# elsewhere would take no processor time here at all; what the kernel does for their sockets is in what is measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exchange=$(realpath "${1:-target/release/exchange}")
exec python3 - "$exchange" "${2:-all}" "${3:-7}" "${4:-5000}" "${5:-3}" "${REPORTS:-100000}" "${SESSIONS:-5000}" "${ACK:-disk}" <<'PYTHON'
import json, os, resource, shutil, signal, socket, statistics, subprocess, sys, tempfile, threading, time

exchange, part = sys.argv[1:3]
rounds, rate, seconds, reports, sessions = map(int, sys.argv[3:8])
ack = sys.argv[8]
root = tempfile.mkdtemp(prefix="beside-")
os.environ["RUST_LOG"] = "error"
children = []
signal.signal(signal.SIGTERM, lambda *_: sys.exit("interrupted"))
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if most != resource.RLIM_INFINITY and most < sessions + 200:
    sys.exit(f"{sessions} sessions need {sessions + 200} open files, and {most} may be open (ulimit -Hn): set SESSIONS")
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def configure():
    text = subprocess.run([exchange, "config"], capture_output=True, text=True, check=True).stdout
    if os.environ.get("RESEND_PER_S"):
        text = text.replace("\n# resend_per_s = 500000\n", f"\nresend_per_s = {int(os.environ['RESEND_PER_S'])}\n")
    for key, value in {"connections": sessions + 100, "silence_s": 60}.items():
        old = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
        text = text.replace(f"\n{old}\n", f"\n{key} = {value}\n")
    text = text.replace('[fix]\naddress = ""', '[fix]\naddress = "127.0.0.1:0"')
    text += "\n"
    for i in range(sessions):
        text += f'[[users]]\nname = "F{i:05}"\npassword = "idle"\nprotocol = "fix"\n'
        text += f'[[users]]\nname = "S{i:05}"\npassword = "idle"\n'
    with open(f"{root}/config.toml", "w") as file:
        file.write(text)


def yields():
    """The calling thread runs when nobody else wants to."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


class Exchange:
    def __init__(self):
        args = ["run", "--json", "--soup", "127.0.0.1:0", "--shards", "1", "--data", f"{root}/data"]
        args += ["--config", f"{root}/config.toml", "--ack", ack]
        self.child = subprocess.Popen([exchange, *args], stdout=subprocess.PIPE, text=True)
        children.append(self.child)
        said = {}
        for line in self.child.stdout:
            said |= json.loads(line)
            if said.get("event") == "ready":
                break
        else:
            sys.exit("the exchange does not start")
        self.said = said
        # What it says later is not needed, and must not fill the pipe.
        threading.Thread(target=lambda: [None for _ in self.child.stdout], daemon=True).start()

    def memory(self):
        with open(f"/proc/{self.child.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:")) << 10

    def cpu(self):
        with open(f"/proc/{self.child.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, how):
        self.child.send_signal(how)
        self.child.wait()


def address(of):
    host, port = of.rsplit(":", 1)
    return host, int(port)


def fix(sender, number, kind, fields):
    now = time.time()
    when = time.strftime("%Y%m%d-%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03}"
    body = f"35={kind}|34={number}|49={sender}|52={when}|56=FULCRUM|{fields}".replace("|", "\x01")
    text = f"8=FIX.4.4\x019={len(body)}\x01{body}".encode()
    return text + b"10=%03d\x01" % (sum(text) % 256)


def load(of, round):
    args = ["load", "--json", "--target", of.said["soup"], "--config", f"{root}/config.toml", "--rate", str(rate)]
    args += ["--duration", f"{seconds}s", "--seed", str(round)]
    done = subprocess.run([exchange, *args], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"exchange {' '.join(args)}: {done.stdout}{done.stderr}")
    said = json.loads(done.stdout)
    if said["requests"]["unanswered"]:
        sys.exit(f"not all were answered: {said['requests']}")
    percentiles = said["latency_ns"]["from_due_time"]["percentiles"]
    return next(at["ns"] for at in percentiles if at["percentile"] == "99") / 1e3


class Session:
    """A FIX session that has reports, and asks for them."""

    def __init__(self):
        self.number, self.rest = 1, b""

    def connect(self, of):
        self.socket = socket.create_connection(address(of.said["fix"]))
        self.say("A", "98=0|108=60|553=F00000|554=idle|")
        self.rest = b""
        while b"\x0135=A\x01" not in self.rest:
            self.fill()
        self.last = int(self.rest.split(b"\x0134=", 1)[1].split(b"\x01", 1)[0])

    def say(self, kind, fields):
        self.socket.sendall(fix("F00000", self.number, kind, fields))
        self.number += 1

    def fill(self):
        read = self.socket.recv(1 << 18)
        if not read:
            sys.exit(f"the exchange has closed the connection: {self.rest[-300:]}")
        self.rest += read

    def order(self, many):
        """Immediate orders that trade with nothing: two reports each."""
        for first in range(0, many, 250):
            out = b""
            for _ in range(min(250, many - first)):
                fields = f"11=O{self.number}|55=AAPL|54=1|60=20261129-12:00:00|38=1|40=2|44=1|59=3|"
                out += fix("F00000", self.number, "D", fields)
                self.number += 1
            self.socket.sendall(out)
            self.rest = b""
            while self.rest.count(b"\x0135=8\x01") < 2 * min(250, many - first):
                self.fill()

    def resend(self):
        """Asks for everything up to its Logon's answer, and reads it. Gives messages, bytes and seconds."""
        begin = time.monotonic()
        self.say("2", f"7=1|16={self.last}|")
        end, got, many, tail = b"\x0136=%d\x01" % (self.last + 1), 0, 0, b""
        while True:
            read = self.socket.recv(1 << 18)
            if not read:
                sys.exit("the exchange has closed the connection")
            got += len(read)
            both = tail + read
            many += both.count(b"\x0143=Y\x01") - tail.count(b"\x0143=Y\x01")
            tail = both[-400:]
            if end in tail:
                return many, got, time.monotonic() - begin


def say_arms(arms, base):
    for name, times in arms.items():
        each = sorted(t / b for t, b in zip(times, arms[base]))
        line = f"  {name:<24} p99 {statistics.median(times):8.0f} us [{min(times):.0f}..{max(times):.0f}]"
        if name != base:
            line += f"  {statistics.median(each):.2f} x {base} [{each[0]:.2f}..{each[-1]:.2f}]"
        print(line, flush=True)


def measure_resend():
    of, session = Exchange(), Session()
    session.connect(of)
    session.order(reports // 2)
    of.end(signal.SIGKILL)
    of = Exchange()
    session.connect(of)
    before, held = of.memory(), []
    many, got, took = session.resend()
    # Two gap fills at least: for the first Logon, and for the last.
    print(f"resend: {many} messages with 43=Y, {got / 1e6:.1f} MB in {took:.2f} s with nobody else there", flush=True)
    if many < reports:
        sys.exit("some are missing")
    arms = {"nobody asks": [], "asks once": [], "asks again and again": []}
    taken = []

    def ask(again, over):
        yields()
        if not again:
            time.sleep(seconds / 3)
        while not over.is_set():
            taken.append(session.resend())
            held.append(of.memory())
            if not again:
                return

    for round in range(1, rounds + 1):
        names = list(arms)
        for name in names[round % 3 :] + names[: round % 3]:
            over = threading.Event()
            thread = threading.Thread(target=ask, args=(name != "asks once", over))
            if name != "nobody asks":
                thread.start()
            arms[name].append(load(of, round))
            over.set()
            if name != "nobody asks":
                thread.join()
    say_arms(arms, "nobody asks")
    if any(each[0] < reports for each in taken):
        sys.exit("some are missing")
    times = sorted(each[2] for each in taken)
    print(f"  {len(taken)} resends beside the load, {statistics.median(times):.2f} s each (median), {times[-1]:.2f} at most; memory "
          f"{(max(held) - before) / 1024:+.0f} KiB", flush=True)
    of.end(signal.SIGTERM)


class Idle:
    """Sessions that are there, on one thread."""

    def __init__(self, of, soup):
        self.soup, self.numbers, self.over = soup, Idle.numbers, threading.Event()
        self.sockets = []
        for i in range(sessions):
            s = socket.create_connection(address(of.said["soup" if soup else "fix"]))
            if soup:
                fields = f"S{i:05}".ljust(6) + "idle".ljust(10) + " " * 10 + "0".rjust(20)
                s.sendall(b"\x00\x2fL" + fields.encode())
            else:
                s.sendall(fix(f"F{i:05}", self.next(i), "A", f"98=0|108=30|553=F{i:05}|554=idle|"))
            self.sockets.append(s)
            # One after another: who has not logged in may be turned away for others.
            answer = s.recv(4096)
            if (answer[2:3] != b"A") if soup else (b"\x0135=A\x01" not in answer):
                sys.exit(f"an idle session was not let in: {answer}")
            s.setblocking(False)
        self.thread = threading.Thread(target=self.live)
        self.thread.start()

    numbers = {}

    def next(self, i):
        self.numbers[i] = self.numbers.get(i, 0) + 1
        return self.numbers[i]

    def live(self):
        """Each says within 30 s that it lives, and reads what came."""
        yields()
        i, due = 0, time.monotonic()
        while not self.over.is_set():
            for _ in range(8):
                s = self.sockets[i]
                try:
                    while len(s.recv(65536)) == 65536:
                        pass
                except BlockingIOError:
                    pass
                s.send(b"\x00\x01R" if self.soup else fix(f"F{i:05}", self.next(i), "0", ""))
                i = (i + 1) % sessions
            due += 8 * 28 / sessions
            time.sleep(max(0, due - time.monotonic()))

    def end(self):
        self.over.set()
        self.thread.join()
        for s in self.sockets:
            s.close()


def measure_idle(soup):
    of = Exchange()
    # What the start has freed is taken again and not seen in the difference; all that the exchange has is a bound.
    before = of.memory()
    idle = Idle(of, soup)
    time.sleep(1)
    after = of.memory()
    idle.end()
    arms, cpu = {"without": [], "with": []}, {"without": 0, "with": 0}
    for round in range(1, rounds + 1):
        for name in list(arms) if round % 2 else list(arms)[::-1]:
            idle = Idle(of, soup) if name == "with" else None
            time.sleep(1)
            begin = of.cpu()
            arms[name].append(load(of, round))
            cpu[name] += of.cpu() - begin
            if idle:
                idle.end()
                time.sleep(1)
    protocol = "SoupBinTCP" if soup else "FIX"
    print(f"idle: {sessions} sessions, {protocol}: {(after - before) / sessions / 1024:+.2f} KiB each; all of the exchange's memory by their number: "
          f"{after / sessions / 1024:.2f} KiB")
    say_arms(arms, "without")
    print(f"  processor time of the exchange {cpu['with'] / max(cpu['without'], 0.01):.2f} x without", flush=True)
    of.end(signal.SIGTERM)


try:
    configure()
    print(f"{rounds} rounds of {rate} requests/s for {seconds} s, seeds 1 to {rounds}, ack {ack}, one shard; {os.cpu_count()} cores, "
          f"load average {os.getloadavg()[0]:.1f}; median [lowest..highest], ratios round by round", flush=True)
    for name, run in {"resend": measure_resend, "idle-fix": lambda: measure_idle(False), "idle-soup": lambda: measure_idle(True)}.items():
        if part in (name, "all"):
            run()
            shutil.rmtree(f"{root}/data")
finally:
    for child in children:
        if child.poll() is None:
            child.kill()
            child.wait()
    shutil.rmtree(root, ignore_errors=True)
PYTHON
