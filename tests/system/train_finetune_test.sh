#!/usr/bin/env bash
# Training on from a model's file, resuming by the folder, with other processes, for longer. Argument: the
# command asmlp, with asmlp-torch beside it.
source "$(dirname "$0")/train_common.sh"
export OMP_WAIT_POLICY=passive  # what asmlp-torch would set itself; saves starting it twice

# Runs asmlp in $work; the exit code must be the first argument.
asmlp_in_work() {
  local wanted=$1 code=0
  shift
  (cd "$work" && "$asmlp" "$@") >"$work/out" 2>"$work/log" || code=$?
  [[ $code == "$wanted" ]] || fail "exit code $code, not $wanted, of: asmlp $*"
}
says() { grep -qF -- "$1" "$work/log" || fail "no word of: $1"; }

(train base --epochs 1) 2>"$work/log" || fail "the run whose model is the start"
says "lr 0.002 for such a step"

# --model FILE needs nothing else: it is the start, and what the run remembers is enough without it.
common=(--epochs 4 --threads 1 --workers 1 --batch-size 16 --aa none --log-interval 1)
cp "$work/base/run/final.safetensors" "$work/start.safetensors"
asmlp_in_work 0 train grays --model start.safetensors "${common[@]}" --output file
says "recipes/finetune_photos.yaml"
says "start.safetensors: small.grays of 10 classes (0, 1, 2, 3, ...)"
grep -q "starts anew" "$work/log" && fail "the classes are the same, the head starts anew"
asmlp_in_work 0 train --config file/args.yaml --output again
cmp "$work/file/summary.csv" "$work/again/summary.csv" ||
  fail "--model FILE is not --initial-checkpoint FILE with its description"

# Stopped, and continued by its folder after the file has gone.
asmlp_in_work 0 train grays --model start.safetensors "${common[@]}" --output parts --max-steps 30
mv "$work/start.safetensors" "$work/elsewhere"
asmlp_in_work 0 train --resume parts
says "resumed from parts/last.safetensors at epoch 2, step 6"
cmp "$work/file/summary.csv" "$work/parts/summary.csv" || fail "resumed by the folder: another run"

# A finished run ends at once, and is made longer on purpose only.
asmlp_in_work 0 train --resume parts
says "there is nothing left to do"
asmlp_in_work 1 train --resume parts --epochs 5
says "--resume parts/last.safetensors --epochs 5 --extend"
asmlp_in_work 2 train --resume parts --extend
says "--extend needs --epochs"
asmlp_in_work 0 train --resume parts --epochs 5 --extend
[[ $(wc -l <"$work/parts/summary.csv") == 6 ]] || fail "five epochs have no five lines"
says "5 epochs of 24 steps"

# Two processes are two again; one has the same batch.
asmlp_in_work 0 train grays --config recipe.yaml --output two --nproc 2 --max-steps 5 --freeze 1 \
  --layer-decay 0.8 --opt sgd --lr 0.02 --class-weights 1,2,1,1,1,1,1,1,1,1
says "2 processes of 1 thread"
says "frozen: the patch embedding and 1 stage"
cp -r "$work/two" "$work/one"
asmlp_in_work 0 train --resume two --max-steps 8
says "2 processes of 1 thread"
says "resumed from two/last.safetensors at epoch 1, step 5"
asmlp_in_work 0 train --resume one --nproc 1 --max-steps 8
says "32 images by batch-size 16, accumulation-steps 2 and 1 process"
says "resumed from one/last.safetensors at epoch 1, step 5"

# More images in a step than there are; a warmup that is longer than the run; every length has a schedule.
asmlp_in_work 0 train grays --config recipe.yaml --output large --batch-size 500 --epochs 1 --max-steps 1
says "384 training images are fewer than a step has"
asmlp_in_work 0 train grays --config recipe.yaml --output warm --epochs 1 --warmup-epochs 7 --max-steps 1
says "the warmup of 168 steps is longer than the run of 24: it is a tenth of the run, 2 steps"
echo "trained on"
