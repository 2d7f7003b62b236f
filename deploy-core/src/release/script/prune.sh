# Removing old releases: those that never became good go first and do not count; of the good ones the
# newest stay. What is not ours, and what cannot be removed, is named and left alone.

prune() {
    begin prune
    removed=0
    alone=
    true >"$work/good"
    for entry in "$root"/releases/*; do
        entry=${entry##*/}
        if ! plain "$entry"; then
            alone="$alone ?"
        elif [ ! -f "$deploy/marks/$entry" ]; then
            alone="$alone $entry"
        fi
    done
    for entry in "$deploy"/marks/*; do
        entry=${entry##*/}
        plain "$entry" || continue
        read_mark "$entry"
        case $mark_state in
            good) printf '%s %s %s\n' "$mark_order" "$entry" "$mark_sha256" >>"$work/good" ;;
            *) prune_one "$entry" ;;
        esac
    done
    sort -rn "$work/good" >"$work/newest"
    last_good=
    while read -r _ entry _; do
        keep=$((keep - 1))
        # What can be gone back to stays, also when what was served before is not good.
        [ -n "$last_good" ] || [ "$entry" = "$release" ] || last_good=$entry
        [ "$keep" -ge 0 ] || [ "$entry" = "$last_good" ] || prune_one "$entry"
    done <"$work/newest"
    prune_logs
    prune_packages
    note=
    [ "$removed" -eq 0 ] || note="removed $removed"
    finish "$note${note:+${alone:+; }}${alone:+left alone:$alone}"
}

# prune_one <release>
prune_one() {
    [ "$1" != "$release" ] && [ "$1" != "$previous" ] || return 0
    if discard "$1"; then
        removed=$((removed + 1))
    else
        alone="$alone $1"
    fi
}

# prune_logs: the logs of the last 50 releases with hooks stay, those of failed ones among them.
prune_logs() {
    set -- "$deploy"/logs/*
    [ $# -gt 50 ] || return 0
    # shellcheck disable=SC2012 # The names are releases' ids, which are plain.
    ls -1t "$deploy/logs" 2>/dev/null | tail -n +51 >"$work/old"
    while read -r entry; do
        if plain "$entry"; then rm -rf "$deploy/logs/$entry"; fi
    done <"$work/old"
}
