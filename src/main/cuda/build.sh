#!/bin/sh
# Compiles the kernels: build.sh <output file>. Without nvcc it says so and succeeds, since the CPU device needs none;
# where CI is set it fails, since kernels that nobody compiled passed no check.
# WEFT_CUDA_ARCHITECTURES="90a" compiles for these alone, which takes a fraction of the time; a release is for all.
set -eu
out=$1
# The major version of CUDA, which drivers must know.
toolkit=${out%.*}.toolkit
# What was compiled for, so that a part of it does not pass for all.
architectures=${out%.*}.architectures
here=$(cd "$(dirname "$0")" && pwd)

nvcc=
for candidate in "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" "$(command -v nvcc || true)" \
    "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    if [ -x "$candidate" ]; then
        nvcc=$candidate
        break
    fi
done
if [ -z "$nvcc" ]; then
    if [ -n "${CI:-}" ]; then
        echo "CI is set and nvcc was not found (CUDA_HOME, PATH, /usr/local/cuda): install it, or set CUDA_HOME to its folder" >&2
        exit 1
    fi
    echo "nvcc was not found (CUDA_HOME, PATH, /usr/local/cuda): building without the CUDA kernels"
    exit 0
fi

wanted=${WEFT_CUDA_ARCHITECTURES:-80 86 89 90a}
# nvcc reads NVCC_APPEND_FLAGS itself.
built="$wanted ${NVCC_APPEND_FLAGS:-}"
if [ -f "$out" ] && [ -f "$toolkit" ] && [ "$(cat "$architectures" 2>/dev/null)" = "$built" ] &&
    [ -z "$(find "$here" -type f -newer "$out")" ]; then
    exit 0
fi
echo "compiling the CUDA kernels, which takes a minute or two"
mkdir -p "$(dirname "$out")"
# The cubins of 8.0 would run on 8.6 and 8.9, slower; the PTX is for what comes after 9.0.
targets=
for architecture in $wanted; do
    targets="$targets -gencode arch=compute_$architecture,code=sm_$architecture"
done
if [ -z "${WEFT_CUDA_ARCHITECTURES:-}" ]; then
    targets="$targets -gencode arch=compute_90,code=compute_90"
fi
# shellcheck disable=SC2086 # a list of words
"$nvcc" -fatbin -std=c++17 -O3 --threads 0 $targets -o "$out.part" "$here/kernels.cu"
"$nvcc" --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p' >"$toolkit"
echo "$built" >"$architectures"
mv "$out.part" "$out"
