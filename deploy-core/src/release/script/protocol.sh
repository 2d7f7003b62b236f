# What the program says to the node: marker lines that carry the run's nonce, and counted bytes.
# Nothing else writes to standard output, so no hook can forge a marker.

newline='
'

# Some shells give up a line when a signal comes while it waits for room; of a line that short all is
# written or nothing.
say() {
    printf '@deploy %s %s\n' "$nonce" "$*" 2>/dev/null || printf '@deploy %s %s\n' "$nonce" "$*"
}

# begin <step>: the step is under way, unless we were told to stop.
begin() {
    step=$1
    alive
    forwarded=0
    say step "$step" begin
}

# finish [note]: the step ended well.
finish() {
    say step "$step" end "$*"
}

# clock: seconds in $seconds, to measure spans by. Where there is /proc they cost no process.
clock() {
    { IFS='. ' read -r seconds _ </proc/uptime; } 2>/dev/null || seconds=$(date +%s)
}

# size_of <file>: its bytes, in $bytes. An empty one costs no process.
size_of() {
    bytes=0
    [ ! -s "$1" ] || bytes=$(wc -c <"$1")
    # Some tools set spaces before the number.
    bytes=$((bytes))
}

# is_number <word>: whether it is a number that shells compare, and count on from.
is_number() {
    case $1 in
        '' | *[!0-9]* | 0?* | ????????????????????*) return 1 ;;
    esac
}

# plain <word>: whether it can stand in a marker, a file name and JSON as it is.
plain() {
    case $1 in
        '' | .* | *[!A-Za-z0-9._-]*) return 1 ;;
    esac
}
