# Passing a log on to the node, in counted frames, at most 64 KiB a step. Part of the program, and of the
# watchers of its hooks: never of both at once.

# frame <bytes>: what was copied, whole; nothing when it has gone.
frame() {
    say out "$step" "$1"
    cat
} <"$work/chunk"

# put <command…>: what writes to the node.
put() {
    "$@"
}

# take_turn: whether the log is ours to pass on and to cut.
take_turn() {
    true
}

# pass_on: passes on what $followed has beyond $offset; fails when that is nothing.
pass_on() {
    size_of "$followed"
    [ "$bytes" -gt "$offset" ] && take_turn || return 1
    room=$((65536 - forwarded))
    if [ "$room" -le 0 ]; then
        offset=$bytes
        [ "$room" -eq 0 ] || return 1
        # What does not fit is at least named.
        forwarded=65537
        put say more "$step" "$followed"
        return 0
    fi
    # Copied first, so that the count is true whatever the hook does to its log.
    # Without a pipe, whose reader would end before its writer. Byte by byte, but never more than
    # 64 KiB a step.
    dd if="$followed" of="$work/chunk" bs=1 skip="$offset" count="$room" 2>/dev/null
    size_of "$work/chunk"
    [ "$bytes" -gt 0 ] || return 1
    offset=$((offset + bytes))
    forwarded=$((forwarded + bytes))
    put frame "$bytes" 2>/dev/null
    return 0
}

# bound_log: $followed is emptied when it has more than 16 MiB, so that a hook that writes without end does
# not fill the disk. It has its log open for appending, so that this neither stops nor hurts it. The first
# MiB stays in <log>.head, the last, each time anew, in <log>.cut. What is written in that very moment is
# lost with what was between.
bound_log() {
    size_of "$followed"
    [ "$bytes" -gt 16777216 ] && take_turn || return 0
    # What writes so much is looked at again in a moment.
    pause=0.05
    [ -e "$followed.head" ] || head -c 1048576 "$followed" >"$followed.head" 2>/dev/null
    tail -c 1048576 "$followed" >"$followed.cut" 2>/dev/null
    true >"$followed"
    offset=0
}
