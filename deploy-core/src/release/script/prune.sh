# Removing old releases: those that never became good go first and do not count; of the good ones the
# newest stay. What is not ours, and what cannot be removed, is named and left alone.

prune() {
    begin prune
    alone=
    goods=
    doomed=
    for entry in "$root"/releases/*; do
        entry=${entry##*/}
        if ! plain "$entry"; then
            alone="$alone ?"
        elif [ ! -f "$deploy/marks/$entry" ]; then
            alone="$alone $entry"
        fi
    done
    # What came since we looked is another program's to judge, which has the lock by now.
    for entry in $marked; do
        id=${entry#*:}
        id=${id%%:*}
        [ "$id" != "$release" ] && [ -f "$deploy/marks/$id" ] || continue
        case $id:$entry in
            "$undone":*) doom "$id" ;;
            *:good) add_good "${entry%:good}" ;;
            *) doom "$id" ;;
        esac
    done
    add_good "$order:$release:$sha256"
    last_good=
    for good in $goods; do
        entry=${good#*:}
        entry=${entry%:*}
        keep=$((keep - 1))
        # What can be gone back to stays, also when what was served before is not good.
        [ -n "$last_good" ] || [ "$entry" = "$release" ] || last_good=$entry
        [ "$keep" -ge 0 ] || [ "$entry" = "$last_good" ] || doom "$entry"
    done
    # shellcheck disable=SC2086 # Ids are plain.
    discard $doomed
    alone=$alone$stayed
    prune_logs
    prune_packages
    note=
    [ "$gone" -eq 0 ] || note="removed $gone"
    finish "$note${note:+${alone:+; }}${alone:+left alone:$alone}"
}

# add_good <order>:<id>:<SHA-256>: among $goods, of which the newest is first.
add_good() {
    newer=
    for good in $goods; do
        [ "${good%%:*}" -gt "${1%%:*}" ] || break
        newer="$newer$good "
    done
    goods="$newer$1 ${goods#"$newer"}"
}

# doom <release>: it is to go, unless it is of use yet.
doom() {
    [ "$1" = "$release" ] || [ "$1" = "$previous" ] || doomed="$doomed $1"
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
