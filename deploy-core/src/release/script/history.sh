# The history: one line of JSON for each release, and each rollback, that held the lock. The texts of the
# request come from the node, encoded already; what is added here is plain.

write_history() {
    history=$deploy/history.jsonl
    ask date -u +%Y-%m-%dT%H:%M:%SZ
    line="{$history_head,\"started\":\"$since_text\",\"finished\":\"$answer\""
    line="$line,\"outcome\":\"$outcome\""
    [ -z "$target" ] || line="$line,\"target\":\"$target\""
    [ -z "$previous" ] || line="$line,\"previous\":\"$previous\""
    [ -z "$failing" ] || line="$line,\"failure\":\"$failing\",\"step\":\"$step\""
    # A line that a crash tore is ended first.
    if [ -s "$history" ]; then
        ask tail -c 1 "$history"
        [ -z "$answer" ] || echo >>"$history"
    fi
    printf '%s}\n' "$line" >>"$history"
    set -- "$history"
    # With what the release's mark says last.
    [ ! -f "$deploy/marks/$release" ] || set -- "$@" "$deploy/marks/$release"
    durable "$@"
    # Looked at now and then: what is added between is little.
    [ $((number % 16)) -eq 0 ] || return 0
    size_of "$history"
    [ "$bytes" -le 4194304 ] || replace "$history" "$(tail -n 2000 "$history")"
}
