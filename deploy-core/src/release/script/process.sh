# Running what takes long in a process group of its own, so that it can be ended as a whole.

if command -v setsid >/dev/null 2>&1; then
    group=setsid
else
    # Shells without job control outside of a terminal need setsid; the others do it themselves.
    group=
fi

input=/dev/null

# start <command…>: in the background, in its own group, with $input in place of our standard input. The
# caller redirects the output. The leader's id is in $child.
start() {
    if [ -n "$group" ]; then
        "$group" "$@" <>"$input" 3<&- &
        child=$!
    else
        set -m
        "$@" <>"$input" 3<&- &
        child=$!
        set +m
    fi
    [ -z "$stopped" ] || [ -n "$failing" ] || signal_group TERM "$child"
}

# await_child: waits for $child, and ends its group when we are told to stop; its status in $status.
await_child() {
    wait "$child"
    status=$?
    if [ -n "$hurry" ] || { [ -n "$stopped" ] && [ -z "$failing" ]; }; then
        end_group "$child"
        wait "$child" 2>/dev/null
        status=143
    fi
    child=
}

# run <command…>: runs a long command of ours and gives its status; see first_said.
run() {
    start "$@" >"$work/said" 2>&1
    await_child
    return "$status"
}

first_said() {
    head -n 1 "$work/said" 2>/dev/null | cut -c 1-300
}
