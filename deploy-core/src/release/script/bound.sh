# Bounding the log of a hook, so that a hook that writes without end does not fill the disk. The hook
# has its log open for appending, so that emptying it neither stops nor hurts it.

# bound_log: a followed log of more than 16 MiB is emptied. Its first MiB stays in <log>.head, its last
# MiB, each time anew, in <log>.cut. What is written in that very moment is lost with what was between.
bound_log() {
    size_of "$followed"
    [ "$bytes" -gt 16777216 ] || return 0
    # What writes so much is looked at again in a moment.
    pause=0.05
    [ -e "$followed.head" ] || head -c 1048576 "$followed" >"$followed.head" 2>/dev/null
    tail -c 1048576 "$followed" >"$followed.cut" 2>/dev/null
    true >"$followed"
    offset=0
}
