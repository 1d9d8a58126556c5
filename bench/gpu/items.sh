# Sourced by check and bench: runs items one by one, each with its own result file, which is written at once; items that have one are
# skipped. REMAT_OUT: where results go. REMAT_ARCHIVE: a tarball of them, made anew after each item (for machines that give back few
# files). REMAT_BIN: the folder of remat and of the test programs. REMAT_SECONDS: how long all of it may take, or REMAT_DEADLINE: until
# when, in seconds since 1970; an item that needs more than what is left is left for the next call. An item fails if its command does.
set -u
out=${REMAT_OUT:-bench/results}
bin=${REMAT_BIN:?}
limit=${REMAT_ITEM_SECONDS:-300}
whole=${REMAT_SECONDS:-1000000}
started=$(date +%s)
later=0
mkdir -p "$out"
export REMAT_BACKEND_PATH="$bin${REMAT_BACKEND_PATH:+:$REMAT_BACKEND_PATH}"
failed=0

check=$("$bin/remat" check --json 2>/dev/null || echo null)

# Text as a JSON string.
quote() {
    python3 -c 'import json, sys; print(json.dumps(sys.stdin.read()[-8000:]))' 2>/dev/null ||
        { printf '"'; tr -d '\000-\037' | tail -c 8000 | sed 's/[\\"]/\\&/g'; printf '"'; }
}

pack() {
    [ -z "${REMAT_ARCHIVE:-}" ] || (cd "$out" && tar --exclude='*.part' --exclude=plans -czf "$REMAT_ARCHIVE" gpu-*)
}

# within SECONDS item NAME COMMAND...: an item with a limit of its own.
within() {
    limit=$1
    shift
    "$@"
    limit=${REMAT_ITEM_SECONDS:-300}
}

# item NAME COMMAND...: {"item", "status", "seconds", "command", "check", "output", "result"}. `result` is the command's
# output where that is JSON.
item() {
    name=$1
    shift
    file=$out/gpu-$name.json
    if [ -s "$file" ] && head -1 "$file" | grep -q '"status": "ok"'; then
        echo "have  $name"
        return
    fi
    if [ $((${REMAT_DEADLINE:-$((started + whole))} - $(date +%s))) -lt "$limit" ]; then
        echo "later $name (it may take $limit s)"
        later=$((later + 1))
        return
    fi
    log=$(mktemp)
    json=$(mktemp)
    begin=$(date +%s.%N)
    if timeout "$limit" "$@" >"$json" 2>"$log"; then status=ok; else status="failed ($?)"; failed=1; fi
    seconds=$(echo "$(date +%s.%N) $begin" | awk '{printf "%.2f", $1 - $2}')
    if [ "$(head -c 1 "$json")" != '{' ]; then cat "$json" >>"$log"; echo null >"$json"; fi
    {
        printf '{"format": "remat-gpu-item", "version": 1, "item": "%s", "status": "%s", "seconds": %s,\n' "$name" "$status" "$seconds"
        printf ' "command": %s,\n' "$(echo "$*" | quote)"
        printf ' "check": %s,\n "result": %s,\n "output": %s}\n' "$check" "$(cat "$json")" "$(quote <"$log")"
    } >"$file.part"
    mv "$file.part" "$file"
    rm -f "$log" "$json"
    pack
    echo "$status  $name  ${seconds} s"
}
