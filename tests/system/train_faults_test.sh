#!/usr/bin/env bash
# What may happen to a run: a second one in its folder, a hang-up, a full disk, a flipped bit, strangers
# at its ports. Argument: the command asmlp, with asmlp-torch beside it.
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive
process="" stranger=""
trap 'kill -KILL $process $stranger 2>/dev/null || true; rm -rf "$work"' EXIT

# Starts a run in the background ($process) and waits for its line of PATTERN.
start() {
  local name=$1 pattern=$2
  shift 2
  (train "$name" --epochs 2000 "$@") 2>"$work/$name.log" &
  process=$!
  for _ in $(seq 1200); do
    grep -q "$pattern" "$work/$name.log" && return
    kill -0 $process 2>/dev/null || break
    sleep 0.05
  done
  cp "$work/$name.log" "$work/log"
  fail "$name: no line $pattern"
}
finish() { code=0; wait $process || code=$?; process=""; }

# ---- one writer per folder; other folders are free
start one "^epoch 1/2000 step 3"
cksum "$work/one/run/args.yaml" >"$work/before"
for option in "" --auto-resume --resume "--auto-resume --nproc 2"; do
  code=0
  (train one --epochs 3 $option) 2>"$work/log" || code=$?
  [[ $code == 1 ]] || fail "a second writer ($option): exit code $code"
  grep -q "run: a training run is at work in this folder: process $process on $(hostname)" \
    "$work/log" || fail "a second writer ($option) does not name the first"
done
cksum "$work/one/run/args.yaml" | cmp - "$work/before" || fail "a second writer has written"
kill -0 $process || fail "the first writer has ended"

# ---- a hang-up saves, like the other signals; nohup is respected
kill -HUP $process; kill -HUP $process
finish
[[ $code == 129 ]] || fail "exit code $code after SIGHUP"
grep -q "stopped at epoch" "$work/one.log" || fail "SIGHUP: no word"
grep -q '"outcome": "stopped"' "$work/one/run/run.json" || fail "SIGHUP: run.json"
[[ ! -e $work/one/run/.lock ]] || fail "the lock file is left"
start both "^epoch 1/2000 step 3" --nproc 2
kill -HUP $process
finish
[[ $code == 129 ]] || fail "--nproc 2: exit code $code after SIGHUP"
[[ -f $work/both/run/last.safetensors ]] || fail "--nproc 2: no state after SIGHUP"
for nproc in 1 2; do
  (trap '' HUP; train nohup$nproc --epochs 2 --nproc $nproc) 2>"$work/log" &
  process=$!
  until grep -q "^epoch 1/2 step 3" "$work/log"; do kill -0 $process || break; sleep 0.05; done
  kill -HUP $process
  finish
  [[ $code == 0 ]] || fail "an ignored SIGHUP: exit code $code"
done

# ---- a killed run leaves nothing that is in the way
start killed "^epoch 1/2000 step 9"
kill -KILL $process
finish 2>/dev/null
(train killed --epochs 2000 --resume --max-steps 12) 2>"$work/log" || fail "resume after a kill"
grep -q "was ended by force: process [0-9]* on" "$work/log" || fail "no note of the killed run"

# ---- a flipped bit
python3 - "$work/killed/run/last.safetensors" <<'PYTHON'
import pathlib, sys
path = pathlib.Path(sys.argv[1])
data = bytearray(path.read_bytes())
data[-7] ^= 4
path.write_bytes(data)
PYTHON
code=0; (train killed --epochs 2000 --resume) 2>"$work/log" || code=$?
[[ $code == 1 ]] && grep -q "checksum.*whole.*--resume run/previous.safetensors" "$work/log" ||
  fail "a flipped bit: exit code $code"
code=0; "$asmlp" info "$work/killed/run/last.safetensors" >/dev/null 2>"$work/log" || code=$?
[[ $code == 1 ]] && grep -q checksum "$work/log" || fail "info of a flipped bit: exit code $code"
(train killed --epochs 2000 --auto-resume --max-steps 20) 2>"$work/log" || fail "auto-resume after a flipped bit"
grep -q "continuing from run/previous.safetensors" "$work/log" || fail "no word on the older state"

# ---- a full disk, played by a limit on the size of files that the state and the models exceed
code=0
(ulimit -f 8; train full --epochs 2) 2>"$work/log" || code=$?
[[ $code == 1 ]] || fail "a full disk: exit code $code"
grep -q "^epoch 2/2 step 24/24" "$work/log" || fail "a full disk ended the training"
grep -q "error: .*done, but not saved" "$work/log" || fail "a full disk: no word at the end"
grep -q '"outcome": "failed"' "$work/full/run/run.json" || fail "a full disk: run.json"
[[ $(wc -l <"$work/full/run/steps.csv") == 49 ]] || fail "a full disk: steps.csv"
[[ -z $(find "$work/full/run" -name '*.tmp.*' -o -name 'next.*') ]] || fail "temporary files are left"

# ---- nobody but the run itself at its ports, which are on the loopback address
start ports "^epoch 1/2000 step 3" --nproc 2
python3 - $process <<'PYTHON' || fail "the ports of a run"
import pathlib, re, socket, struct, sys, time
def children(pid):
    found = [pid]
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += children(int(child))
    return found
inodes = set()
for pid in children(int(sys.argv[1])):
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try: match = re.match(r"socket:\[(\d+)\]", str(fd.readlink()))
        except OSError: continue
        if match: inodes.add(match[1])
ports = []
for table in ("tcp", "tcp6"):
    for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] != "0A" or words[9] not in inodes: continue
        address, port = words[1].split(":")
        assert address == "0100007F", f"{table}: listens at {address}"
        ports.append(int(port, 16))
assert ports, "no port at all"
print("ports", ports)
sockets = []
for port in ports:
    for says in (b"abc", b"", b"\xff" * 5000):
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", port))
            if says:
                try: s.sendall(says)
                except OSError: pass
            sockets.append(s)
time.sleep(2)
PYTHON
seen=$(wc -l <"$work/ports.log")
sleep 1
[[ $(wc -l <"$work/ports.log") -gt $seen ]] || fail "strangers stall the run"
! tr '\0' '\n' </proc/$process/cmdline | grep -q TOKEN || fail "a token on the command line"
kill -INT $process
finish
[[ $code == 130 ]] || fail "exit code $code with strangers at the ports"

# ---- strangers before the other rank comes; a wrong token; none between machines
port=$((20000 + RANDOM % 10000))
export WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port
(export RANK=0; train meet --epochs 1) 2>"$work/a" &
process=$!
python3 - $port <<'PYTHON' &
import socket, sys, time
sockets = []
for _ in range(600):
    try:
        for _ in range(200):
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            s.sendall(b"abc")
            sockets.append(s)
        break
    except OSError: time.sleep(0.05)
time.sleep(20)
PYTHON
stranger=$!
sleep 3
code=0; (export RANK=1 ASMLP_TOKEN=0123456789abcdef; train wrong --epochs 1) 2>"$work/log" || code=$?
[[ $code == 1 ]] && grep -q "ASMLP_TOKEN" "$work/log" || fail "a wrong token: exit code $code"
code=0; (export RANK=1; train meet2 --epochs 1) 2>"$work/log" || code=$?
[[ $code == 0 ]] || fail "rank 1 among strangers: exit code $code"
finish
cp "$work/a" "$work/log"
[[ $code == 0 ]] || fail "rank 0 among strangers: exit code $code"
kill $stranger 2>/dev/null || true
code=0; (export RANK=0 MASTER_ADDR=$(hostname); train far --epochs 1) 2>"$work/log" || code=$?
[[ $code == 2 ]] && grep -q "ASMLP_TOKEN" "$work/log" || fail "no token between machines: exit code $code"
echo passed
