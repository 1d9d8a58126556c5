#!/bin/sh
# The bundle holds what it should, runs from another folder, and has nothing of NVIDIA's. usage: bundle.sh SOURCE BUILD
set -eu
cd "$1"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
scripts/bundle "$2" "$folder/bundle.tar.gz" >/dev/null
tar -C "$folder" -xzf "$folder/bundle.tar.gz"
mv "$folder/remat" "$folder/moved here"
cd /

fail() {
    echo "bundle: $1"
    exit 1
}
[ "$(stat -c %s "$folder/bundle.tar.gz")" -lt 60000000 ] || fail 'it is larger than 60 MB'
find "$folder" -name 'libcud*' -o -name 'libcub*' -o -name 'libnv*' -o -name 'libnccl*' -o -name 'libc.so*' | grep . && fail 'it holds libraries of the machine'
for file in bin/remat bin/gpu-check bin/gpu-bench bin/items.sh bin/gpu.py bin/torch_worker.py bin/gpu-parts libexec/remat libexec/test_op_backends share/cuda.md; do
    [ -e "$folder/moved here/$file" ] || fail "it lacks $file"
done
unset REMAT_BACKEND_PATH
"$folder/moved here/bin/remat" models | grep -q resnet50 || fail 'its command does not run'
"$folder/moved here/bin/remat" check --json >"$folder/check.json" || fail 'its command finds no device'
[ ! -f "$2/libremat_cuda.so" ] || [ -e "$folder/moved here/lib/remat/libremat_cuda.so" ] || fail 'it lacks the cuda backend'
if [ -f "$2/libremat_cuda.so" ]; then
    grep -q 'libremat_cuda.so, which is not in' "$folder/check.json" && fail 'its command does not find the cuda backend'
fi
# Items: a result is written at once, whatever comes of it, and not made again once it is good.
REMAT_OUT=$folder/out REMAT_ARCHIVE=$folder/items.tar.gz REMAT_ITEM_SECONDS=60 REMAT_BIN="$folder/moved here/bin" sh -c '
    . "$REMAT_BIN/items.sh"
    item good echo "{\"answer\": 42}"
    item bad false
    item good false
    item worse false
    item worse true
    whole=50
    item late true
    within 20 item short true
    pack' >"$folder/items.log" || fail 'items stop at a failure'
grep -q '"answer": 42' "$folder/out/gpu-good.json" || fail 'an item keeps no result'
grep -q '"status": "failed (1)"' "$folder/out/gpu-bad.json" || fail 'a failure is not recorded'
grep -q '^have  good' "$folder/items.log" || fail 'an item is run again'
grep -q '^ok  worse' "$folder/items.log" || fail 'what failed is not tried again'
grep -q '^later late' "$folder/items.log" || fail 'an item begins that may not end in time'
grep -q '^ok  short' "$folder/items.log" || fail 'an item that fits does not begin'
tar -tzf "$folder/items.tar.gz" | grep -q gpu-short.json || fail 'a result is not packed'
python3 -c 'import json, sys; [json.load(open(name)) for name in sys.argv[1:]]' "$folder"/out/*.json || fail 'a result is no JSON'
