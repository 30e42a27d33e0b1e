#!/usr/bin/env bash
# libasmlp.so exports the API, all of it, and nothing else: no symbol of the libraries inside, of
# the C++ library's templates or of internal classes. Arguments: the library, the folder include/.
set -euo pipefail
export LC_ALL=C
library=$1 include=$2

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Names without parameters, e.g. "asmlp::Classifier::logits".
exported=$(nm -D --defined-only "$library" | awk '{ print $NF }' | c++filt |
  sed -E 's/\(.*//; s/\[abi:.*//' | sort -u)
declared_in_c=$(grep -oE 'asmlp_[a-z_]+\(' "$include/asmlp/asmlp.h" | tr -d '(' | sort -u)

while IFS= read -r name; do
  case "$name" in
    asmlp::Model::* | asmlp::Classifier::* | asmlp::Backbone::* | asmlp::Error::*) ;;
    asmlp::Detector::* | asmlp::Segmentor::*) ;;
    asmlp::mask_bitmap | asmlp::mask_area | asmlp::mask_text) ;;
    asmlp::version | asmlp::load_model | asmlp::read_image | asmlp::load_weights | asmlp::save_weights) ;;
    asmlp::to_string | "typeinfo for asmlp::Error" | "typeinfo name for asmlp::Error") ;;
    "vtable for asmlp::Error") ;;
    *) grep -qxF "$name" <<<"$declared_in_c" || fail "exported, but no part of the API: $name" ;;
  esac
done <<<"$exported"

for name in $declared_in_c asmlp::{Classifier::{Classifier,classify,logits},Backbone::features} \
  asmlp::{Detector::detect,Segmentor::segment,mask_bitmap,mask_area} \
  asmlp::{Model::feature_shape,version,load_model,load_weights,save_weights,read_image,to_string} \
  "typeinfo for asmlp::Error"; do
  grep -qxF "$name" <<<"$exported" || fail "declared, but not exported: $name"
done

# LibTorch and what only the command uses stay outside.
needed=$(readelf -d "$library" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
for other in torch c10 cairo spdlog onnx protobuf; do
  grep -q "$other" <<<"$needed" && fail "the library needs $other: $needed"
done
soname=$(readelf -d "$library" | sed -nE 's/.*\(SONAME\).*\[(.*)\]/\1/p')
[[ $soname =~ ^libasmlp\.so\.(0\.[0-9]+|[1-9][0-9]*)$ ]] || fail "soname '$soname'"
[[ $(basename "$(readlink -f "$library")") == "$soname".* ]] ||
  fail "$library is not a link to $soname.*"
echo "$(wc -l <<<"$exported") names, all of the API; soname $soname"
