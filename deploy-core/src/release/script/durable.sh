# Bringing to the disk what a crash of the host must not lose.

# durable <path…>: the contents of these files, the entries of these directories. A sync that takes no
# paths writes everything, which is slower and as good.
durable() {
    sync "$@" 2>/dev/null || sync
}

# durable_trees <path…>: everything on their file systems.
durable_trees() {
    run sync -f "$@" || { alive; run sync; } || { alive; broken "sync: $(first_said)"; }
}

# beside <file>: what its next content is written to, in $beside.
beside() {
    beside=${1%/*}/.new-$run
}

# replace <file> <text>: puts the text into the file, durably and at once.
replace() {
    beside "$1"
    printf '%s\n' "$2" >"$beside" && durable "$beside" && mv -f "$beside" "$1" && durable "${1%/*}"
}
