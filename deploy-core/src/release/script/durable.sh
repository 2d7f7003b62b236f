# Bringing to the disk what a crash of the host must not lose.

# durable <path…>: the contents of these files, the entries of these directories. A sync that takes no
# paths writes everything, which is slower and as good.
durable() {
    sync "$@" 2>/dev/null || { ! sync_takes_paths && sync; }
}

# sync_takes_paths: whether what failed was the disk, and not a path that is none of sync's.
sync_takes_paths() {
    sync -f /dev/null 2>/dev/null
}

# durable_tree <path>: everything on its file system.
durable_tree() {
    run sync -f "$1" || { alive; ! sync_takes_paths && run sync; } ||
        { alive; broken "sync: $(first_said)"; }
}

# replace <file> <text>: puts the text into the file, durably and at once.
replace() {
    beside=${1%/*}/.new-$run
    printf '%s\n' "$2" >"$beside" && durable "$beside" && mv -f "$beside" "$1" && durable "${1%/*}"
}
