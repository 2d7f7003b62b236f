# What the program says to the node: marker lines that carry the run's nonce, and counted bytes.
# Nothing else writes to standard output, so no hook can forge a marker.

newline='
'

say() {
    printf '@deploy %s %s\n' "$nonce" "$*"
}

# begin <step>: the step is under way, unless we were told to stop.
begin() {
    step=$1
    alive
    [ ! -d "$work" ] || echo 0 >"$work/forwarded"
    say step "$step" begin
}

# finish [note]: the step ended well.
finish() {
    say step "$step" end "$*"
}

# now: seconds since 1970 by this host's clock.
now() {
    date +%s
}

# plain <word>: whether it can stand in a marker, a file name and JSON as it is.
plain() {
    case $1 in
        '' | .* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
}
