# The history: one line of JSON for each release, and each rollback, that held the lock. The texts of the
# request come from the node, encoded already; what is added here is plain.

write_history() {
    history=$deploy/history.jsonl
    line="{$history_head,\"started\":\"$since_text\",\"finished\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\""
    line="$line,\"outcome\":\"$outcome\""
    [ -z "$target" ] || line="$line,\"target\":\"$target\""
    [ -z "$previous" ] || line="$line,\"previous\":\"$previous\""
    [ -z "$failing" ] || line="$line,\"failure\":\"$failing\",\"step\":\"$step\""
    # A line that a crash tore is ended first.
    if [ -s "$history" ] && [ -n "$(tail -c 1 "$history")" ]; then
        echo >>"$history"
    fi
    printf '%s}\n' "$line" >>"$history"
    # The mark of a good release among them.
    durable "$history" "$deploy/marks"
    # Looked at now and then: what is added between is little.
    [ $((number % 16)) -eq 0 ] || return 0
    size_of "$history"
    [ "$bytes" -le 4194304 ] || replace "$history" "$(tail -n 2000 "$history")"
}
