# Bringing to the disk what a crash of the host must not lose.

# durable <path…>: the contents of these files, the entries of these directories. A sync that takes no
# paths writes everything, which is slower and as good.
durable() {
    sync "$@" 2>/dev/null || sync
}

# durable_tree <directory>: everything below it, by its whole file system.
durable_tree() {
    run sync -f "$1" || { alive; run sync; } || { alive; broken "sync: $(first_said)"; }
}

# replace <file>: puts what comes on standard input into the file, durably and at once.
replace() {
    beside=${1%/*}/.new-$run
    cat >"$beside" && durable "$beside" && mv -f "$beside" "$1" && durable "${1%/*}"
}
