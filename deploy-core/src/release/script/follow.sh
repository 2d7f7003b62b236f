# Passing a growing log on to the node, in counted frames. It looks again after a pause that grows
# while nothing comes; a signal that the hook has ended makes it look at once, for the last time.

# follow <log> <offset>: a process of its own.
follow() {
    over=
    nap=
    # What ends the program's group leaves this one to finish its frame.
    trap '' TERM INT HUP
    trap 'over=yes; kill -KILL "$nap" 2>/dev/null' USR1
    followed=$1
    offset=$2
    { read -r forwarded <"$work/forwarded"; } 2>/dev/null || forwarded=0
    pause=0.05
    # Nobody follows for a program that was killed.
    while kill -0 $$ 2>/dev/null; do
        # The file counts when the signal came before we listened, and so does that it has no place
        # any more.
        { [ ! -e "$over_mark" ] && [ -d "$work" ]; } || over=yes
        # Only a look that began after the hook's end is the last one.
        last=$over
        if pass_on; then pause=0.05; fi
        bound_log
        if [ -n "$last" ]; then
            echo "$forwarded" >"$work/forwarded"
            return
        fi
        [ -z "$over" ] || continue
        sleep "$pause" >/dev/null 2>&1 &
        nap=$!
        wait "$nap" 2>/dev/null
        # A sleep that takes whole seconds only says 1, or 2; one that we ended says more.
        case $? in 1 | 2) pause=1 ;; esac
        case $pause in 0.05) pause=0.1 ;; 0.1) pause=0.2 ;; 0.2) pause=0.5 ;; esac
    done
}

# pass_on: passes on what the log has beyond the offset, at most 64 KiB a step.
pass_on() {
    size_of "$followed"
    [ "$bytes" -gt "$offset" ] || return 1
    room=$((65536 - forwarded))
    if [ "$room" -le 0 ]; then
        [ "$room" -lt 0 ] || say more "$step" "$followed"
        forwarded=65537
        offset=$bytes
        return 1
    fi
    # Copied first, so that the count is true whatever the hook does to its log.
    # Without a pipe, whose reader would end before its writer. Byte by byte, but never more than
    # 64 KiB a step.
    dd if="$followed" of="$work/chunk" bs=1 skip="$offset" count="$room" 2>/dev/null
    size_of "$work/chunk"
    [ "$bytes" -gt 0 ] || return 1
    say out "$step" "$bytes"
    cat "$work/chunk"
    offset=$((offset + bytes))
    forwarded=$((forwarded + bytes))
    # What did not fit is at least named.
    [ "$bytes" -lt "$room" ] || pass_on
    return 0
}
