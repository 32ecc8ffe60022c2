#!/usr/bin/env bash
# Wheels for a machine with a GPU and torch for CUDA 13, but no network: `benchmarks/carry.sh [FOLDER] [cueq]`.
#
# FOLDER (.whl) gets the wheels of carry.txt for Python 3.12 on x86-64 Linux, and Crossfield's own: 10 MiB. With `cueq`
# also NVIDIA's kernels for mace-torch, as site.tar.xz, a third of their wheels' 71 MiB. There, in the checkout:
#
#   python3 -m pip install --no-index --no-deps --target /tmp/site FOLDER/*.whl
#   tar xJf FOLDER/site.tar.xz -C /tmp/site    # with `cueq`
#   PYTHONPATH=/tmp/site python3 benchmarks/gpu.py --out results.json    # --mace cueq
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.whl}
platforms=(--platform manylinux1_x86_64 --platform manylinux2014_x86_64)
for glibc in 2_17 2_24 2_27 2_28 2_31 2_34; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
fetch() {
    python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
        "${platforms[@]}" --dest "$@"
}
if [ -n "$(ls -A "$folder" 2>/dev/null | grep -v -e '\.whl$' -e '^site\.tar\.xz$' || true)" ]; then
    echo "$folder has other files than wheels: name another folder" >&2
    exit 2
fi
rm -f "$folder"/*.whl "$folder"/site.tar.xz
fetch "$folder" -r benchmarks/carry.txt
python3 -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
if [ "${2:-}" = cueq ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    fetch "$work/wheels" cuequivariance-ops-cu13==0.13.0 cuequivariance-ops-torch-cu13==0.13.0 platformdirs==4.14.8
    for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/site"; done
    XZ_OPT=-T0 tar cJf "$folder/site.tar.xz" -C "$work/site" .
fi
du -ch "$folder"/* | tail -1
