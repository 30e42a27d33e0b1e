#!/usr/bin/env bash
# The manual pages and completions that the build wrote: groff has nothing to say of the pages, every
# command has one, and bash completes what the program takes. Arguments: the command, the folder share/.
set -uo pipefail
asmlp=$1 share=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

pages=("$share"/man/man1/*.1)
[[ -s ${pages[0]} ]] || fail "no manual pages in $share/man/man1"
for name in asmlp asmlp-info asmlp-predict asmlp-validate asmlp-dataset asmlp-study; do
  [[ -s $share/man/man1/$name.1 ]] || fail "$name.1 is missing"
done
for page in "${pages[@]}"; do
  if command -v groff >/dev/null; then
    groff -man -ww -Tutf8 -P-cbou "$page" >"$work/text" 2>"$work/warnings" || fail "groff $page"
    [[ -s $work/warnings ]] && fail "groff $page: $(head -3 "$work/warnings")"
    for section in NAME SYNOPSIS OPTIONS; do
      grep -q "^$section" "$work/text" || fail "$page: no section $section"
    done
  fi
  grep -q '^\.TH "ASMLP' "$page" || fail "$page: no title"
done
# What the program takes is on its page, and the page is what the program prints.
"$asmlp" help --man validate | cmp -s - "$share/man/man1/asmlp-validate.1" || fail "a stale page"
"$asmlp" validate --help | grep -oE '(^|[ ,])--[a-z-]+' | tr -d ' ,' | sort -u >"$work/options"
[[ $(wc -l <"$work/options") -gt 20 ]] || fail "validate --help lists too few options"
sed 's/\\-/-/g' "$share/man/man1/asmlp-validate.1" >"$work/page"
while read -r option; do
  grep -q -e "$option" "$work/page" || fail "$option is not on asmlp-validate.1"
done <"$work/options"

# complete WORDS...: what bash offers for the last word, a line each.
# shellcheck source=/dev/null
source "$share/bash-completion/completions/asmlp" || fail "the completion cannot be sourced"
[[ $(complete -p asmlp) == *"-F _asmlp asmlp" ]] || fail "bash knows no completion of asmlp"
offered() {
  COMP_WORDS=(asmlp "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _asmlp
  printf '%s\n' "${COMPREPLY[@]}"
}
same() {
  local wanted=$1
  shift
  local got
  got=$(offered "$@" | sort | tr '\n' ' ')
  [[ $got == "$wanted " ]] || fail "after 'asmlp $*' bash offers '$got', not '$wanted'"
}
same "predict" predi
same "validate version" v
same "--valid-labels" validate --valid-l
same "bicubic bilinear" validate --interpolation ""
same "bilinear" validate --interpolation = bil
same "shards" dataset sh
same "--samples-per-shard" dataset shards --sam
same "detect" validate data --task det
cd "$work" && mkdir folder && touch model.safetensors photo.jpg
same "model.safetensors" predict photo.jpg --model mod
same "photo.jpg" predict ph
same "folder" validate fo
same "folder" dataset shards --output ""
same "" predict --topk ""
if "$asmlp" help train >/dev/null 2>&1; then  # with asmlp-torch
  [[ -s $share/man/man1/asmlp-train.1 ]] || fail "asmlp-train.1 is missing"
  same "--epochs" train --epo
fi
same "--yolo --yolo-scores" detect --yo
same "--tile-overlap --tile-whole --tiles" detect --til
same "native torch" segment --backend ""
[[ -s $share/man/man1/asmlp-segment.1 ]] || fail "asmlp-segment.1 is missing"
for shell in zsh fish; do
  case $shell in
    zsh) file=$share/zsh/site-functions/_asmlp ;;
    fish) file=$share/fish/vendor_completions.d/asmlp.fish ;;
  esac
  [[ -s $file ]] || fail "no completion for $shell"
  if command -v $shell >/dev/null; then
    $shell -n "$file" || fail "$shell cannot read its completion"
  fi
done
echo "${#pages[@]} manual pages; bash completes commands, options, values and files"
