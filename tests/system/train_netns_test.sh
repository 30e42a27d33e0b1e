#!/usr/bin/env bash
# Training on two hosts, played by two network namespaces with a cable between them; then the cable is
# cut. Skipped (77) where namespaces cannot be made. Argument: the command asmlp, with asmlp-torch beside
# it.
if [[ ${2:-} != inside ]]; then
  command -v ip >/dev/null || { echo "skipped: no ip command (package iproute2)"; exit 77; }
  if [[ $(id -u) == 0 ]]; then own=(unshare --net); else own=(unshare --user --map-root-user --net); fi
  "${own[@]}" true 2>/dev/null || { echo "skipped: no network namespaces here"; exit 77; }
  exec "${own[@]}" "$0" "$1" inside
fi
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive

# This namespace is host A; host B is that of a process that only waits.
unshare --net sleep 600 &
holder=$!
trap 'kill $holder 2>/dev/null; rm -rf "$work"' EXIT
for _ in $(seq 100); do
  [[ $(readlink /proc/$holder/ns/net) == $(readlink /proc/self/ns/net) ]] || break
  sleep 0.05
done
on_b() { nsenter --net=/proc/$holder/ns/net "$@"; }
ip link add cable type veth peer name cable netns $holder || { echo "skipped: no veth"; exit 77; }
ip addr add 10.77.0.1/24 dev cable
on_b ip addr add 10.77.0.2/24 dev cable
ip link set lo up && ip link set cable up
on_b ip link set lo up && on_b ip link set cable up

# Starts rank 0 on A and rank 1 on B; their standard errors are $work/a and $work/b.
start() {
  export WORLD_SIZE=2 MASTER_ADDR=10.77.0.1 MASTER_PORT=29500 ASMLP_TOKEN=a.secret.of.this.test
  (export RANK=0; train "$@") >"$work/json" 2>"$work/a" &
  a=$!
  (export RANK=1 asmlp; cd "$work" && mkdir -p "$1" && cd "$1" &&
    on_b "$asmlp" train --config ../recipe.yaml --output run "${@:2}") 2>"$work/b" &
  b=$!
}
finish() {
  code_a=0 code_b=0
  wait $a || code_a=$?
  wait $b || code_b=$?
  cat "$work/a" "$work/b" >"$work/log"
}

start whole --epochs 1 --json
finish
[[ $code_a == 0 && $code_b == 0 ]] || fail "two hosts: exit codes $code_a and $code_b"
grep -q '"world_size": 2' "$work/json" || fail "not a run of two processes"

start cut --epochs 500 --checkpoint-interval 5
for _ in $(seq 600); do
  grep -q "^epoch 2/500 step 3" "$work/a" && break
  sleep 0.1
done
grep -q "^epoch 2/500 step 3" "$work/a" || { finish; fail "the run did not start"; }
ip link set cable down
cut_at=$(date +%s)
finish
seconds=$(($(date +%s) - cut_at))
echo "the cable cut: exit codes $code_a and $code_b after $seconds s"
grep error "$work/log"
[[ $code_a == 1 && $code_b == 1 ]] || fail "exit codes $code_a and $code_b"
((seconds < 30)) || fail "the hosts went on for $seconds s"
grep -q "error: rank 1 " "$work/a" || fail "rank 0 does not name rank 1"
grep -q "error: rank 0 " "$work/b" || fail "rank 1 does not name rank 0"

# The state is good: one process goes on.
unset WORLD_SIZE MASTER_ADDR MASTER_PORT
(train cut --epochs 500 --resume --max-steps 40) 2>"$work/log" || fail "the state after the cut"
grep -q "resumed from run/last.safetensors" "$work/log" || fail "no resume"
echo "two hosts train together, and end when they are separated"
