# The history: one line of JSON for each release, and each rollback, that held the lock. The texts of the
# request come from the node, encoded already; what is added here is plain.

# in_words <seconds since 1970>: that time, in $answer, without a process. Years are counted from March, so
# that a leap day is the last of its year; 400 of them have 146,097 days.
in_words() {
    day=$(($1 / 86400 + 719468))
    of_era=$((day % 146097))
    year=$(((of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365))
    of_year=$((of_era - 365 * year - year / 4 + year / 100))
    month=$(((5 * of_year + 2) / 153))
    ask printf '%04d-%02d-%02dT%02d:%02d:%02dZ\n' \
        $((day / 146097 * 400 + year + month / 10)) $(((month + 2) % 12 + 1)) \
        $((of_year - (153 * month + 2) / 5 + 1)) \
        $(($1 / 3600 % 24)) $(($1 / 60 % 60)) $(($1 % 60))
}

write_history() {
    history=$deploy/history.jsonl
    clock
    in_words $((since + seconds - since_clock))
    line="{$history_head,\"started\":\"$since_text\",\"finished\":\"$answer\""
    line="$line,\"outcome\":\"$outcome\""
    [ -z "$target" ] || line="$line,\"target\":\"$target\""
    [ -z "$previous" ] || line="$line,\"previous\":\"$previous\""
    [ -z "$failing" ] || line="$line,\"failure\":\"$failing\",\"step\":\"$step\""
    # A line that a crash tore is ended first.
    if [ -z "$whole" ] && [ -s "$history" ]; then
        ask tail -c 1 "$history"
        [ -z "$answer" ] || echo >>"$history"
    fi
    whole=
    printf '%s}\n' "$line" >>"$history" && whole=yes
    set -- "$history"
    # With what the release's mark says last.
    [ ! -f "$deploy/marks/$release" ] || set -- "$@" "$deploy/marks/$release"
    durable "$@" || whole=
    # Looked at now and then: what is added between is little.
    [ $((number % 16)) -eq 0 ] || return 0
    size_of "$history"
    [ "$bytes" -le 4194304 ] || replace "$history" "$(tail -n 2000 "$history")"
}
