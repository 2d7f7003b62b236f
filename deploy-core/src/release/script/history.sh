# The history: one line of JSON for each release that held the lock. The texts of the request come
# from the node, encoded already; what is added here is plain.

write_history() {
    history=$deploy/history.jsonl
    line="{$history_head,\"started\":\"$since_text\",\"finished\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\""
    line="$line,\"outcome\":\"$outcome\""
    [ -z "$previous" ] || line="$line,\"previous\":\"$previous\""
    [ -z "$failing" ] || line="$line,\"failure\":\"$failing\",\"step\":\"$step\""
    # A line that a crash tore is ended first.
    if [ -s "$history" ] && [ -n "$(tail -c 1 "$history")" ]; then
        echo >>"$history"
    fi
    printf '%s}\n' "$line" >>"$history" && durable "$history"
    if [ "$(size_of "$history")" -gt 4194304 ]; then
        tail -n 2000 "$history" | replace "$history"
    fi
}
