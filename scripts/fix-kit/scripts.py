"""What is expected of FIX scripts that the kit's run.py plays against the exchange: QuickFIX's and our own.

    scripts.py break MUTATE.PY FOLDER NEW-FOLDER SEED       breaks one expectation in each script, by the kit's mutate.py
    scripts.py break-own MUTATE.PY FOLDER NEW-FOLDER SEED   where run.py compares all fields
    scripts.py judge FOLDER RESULTS...                      each case passed, but for the exceptions below
    scripts.py judge-broken NEW-FOLDER RESULTS...           each case failed, where it was broken

In QuickFIX's, run.py takes an ExecutionReport or a BusinessMessageReject for an order that the script wants echoed, and compares only some of
its fields. What is broken among the others cannot be seen, so another expectation of that script is broken instead.
"""
import json
import os
import re
import subprocess
import sys

# Cases that fail, and what run.py says of them. docs/fix/rules.md has the reasons.
EXCEPTIONS = {"fix50sp2/2r_UnregisteredMsgType": "missing tag 1137=9"}

SOH = b"\x01"
ADMIN = {b"0", b"1", b"2", b"3", b"4", b"5", b"A"}
# What run.py compares of a message that stands for an echoed order.
COMPARED = {"8", "34", "43", "49", "56"}
# Seeds that are tried for one script.
SEEDS = 200


def scripts_of(folder):
    return sorted(name for name in os.listdir(folder) if name.endswith(".def"))


def is_seen(line, operation, tag, own):
    """Whether run.py can see that this expectation was broken."""
    msg_type = re.search(rb"\x0135=([^\x01]*)", line)[1]
    if own:
        return msg_type != b"A" or operation != "drop" or tag != "58"
    if msg_type not in ADMIN | {b"j"}:
        return operation != "add" and tag in COMPARED
    if tag == "35" and operation != "add":
        return False  # by the types it tells echoes, and which orders to adapt
    return not (msg_type == b"A" and tag == "58" and operation == "drop")


def break_scripts(mutate, folder, target, first_seed, own):
    """mutate.py breaks all scripts of a folder at once: those seeds are kept whose change can be seen."""
    os.makedirs(target)
    left, broken = set(scripts_of(folder)), {}
    if not left:
        sys.exit(f"no scripts in {folder}")
    for seed in range(first_seed, first_seed + SEEDS):
        if not left:
            break
        trial = os.path.join(target, f"seed-{seed}")
        subprocess.run([sys.executable, mutate, folder, trial, str(seed)], check=True)
        with open(os.path.join(trial, "mutations.txt"), encoding="ascii") as file:
            mutations = dict(line.rstrip("\n").split(": ", 1) for line in file)
        for name in sorted(left):
            change = re.fullmatch(r"(\w+) (\d+) line (\d+)", mutations[name])
            if change:
                with open(os.path.join(folder, name), "rb") as file:
                    line = file.read().split(b"\n")[int(change[3]) - 1]
                if not is_seen(line, change[1], change[2], own):
                    continue
            os.rename(os.path.join(trial, name), os.path.join(target, name))
            broken[name] = {"what": mutations[name], "seed": seed, "line": int(change[3]) if change else None}
            left.discard(name)
        for name in os.listdir(trial):
            os.remove(os.path.join(trial, name))
        os.rmdir(trial)
    if left:
        sys.exit(f"{SEEDS} seeds from {first_seed} on break nothing that can be seen in {sorted(left)}")
    with open(os.path.join(target, "broken.json"), "w", encoding="ascii") as file:
        json.dump(broken, file)


def results_of(folder, files):
    """The last result of each case; each script of the folder must have one."""
    results = {}
    for name in files:
        with open(name, encoding="utf-8") as file:
            results.update((case["case"], case) for case in json.load(file)["cases"])
    cases = {f"{os.path.basename(folder)}/{name[:-4]}" for name in scripts_of(folder)}
    if set(results) != cases:
        sys.exit(f"{folder}: played and there differ in {sorted(set(results) ^ cases)}")
    return results


def judge(folder, files):
    results, wrong, excepted = results_of(folder, files), [], []
    for name, case in sorted(results.items()):
        reason = EXCEPTIONS.get(name)
        if reason is None and case["result"] != "PASS":
            wrong.append(f"{name}: {case['result']}, line {case.get('line')}: {case.get('why')}\n"
                         f"  expected {case.get('expected')}\n  received {case.get('received')}")
        elif reason is not None and (case["result"], case.get("why")) != ("FAIL", reason):
            wrong.append(f"{name}: {case['result']} {case.get('why')}, where \"{reason}\" was the exception")
        elif reason is not None:
            excepted.append(f"{name} ({reason})")
    passed = len(results) - len(wrong) - len(excepted)
    exceptions = f", exceptions: {', '.join(excepted)}" if excepted else ""
    report(f"{os.path.basename(folder)}: {passed} of {len(results)} scripts pass{exceptions}", wrong)


def judge_broken(folder, files):
    with open(os.path.join(folder, "broken.json"), encoding="ascii") as file:
        broken = json.load(file)
    results, wrong = results_of(folder, files), []
    for name, case in sorted(results.items()):
        change = broken[name.split("/", 1)[1] + ".def"]
        where = case.get("line")
        elsewhere = change["line"] not in (None, where) and name not in EXCEPTIONS
        if case["result"] != "FAIL" or elsewhere:
            wrong.append(f"{name}: {case['result']}, line {where}: {case.get('why')}; "
                         f"broken: {change['what']} (seed {change['seed']})")
    failed = len(results) - len(wrong)
    report(f"{os.path.basename(folder)}: {failed} of {len(results)} broken scripts fail", wrong)


def report(summary, wrong):
    print("\n".join([summary, *wrong]))
    sys.exit(1 if wrong else 0)


def main():
    match sys.argv[1:]:
        case ["break" | "break-own" as how, mutate, folder, target, seed]:
            break_scripts(mutate, folder, target, int(seed), how == "break-own")
        case ["judge", folder, *files] if files:
            judge(folder, files)
        case ["judge-broken", folder, *files] if files:
            judge_broken(folder, files)
        case _:
            sys.exit(__doc__)


main()
