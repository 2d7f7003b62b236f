# Listening to the node while the program works: a process of its own owns standard input from the
# moment the package is there. The end of the input means that nobody is there any more.

listener=

listen() {
    hear <&3 &
    listener=$!
}

# hear: a word that is none of the node's verdicts ends what runs, and so does the end of the input,
# until the program has become heedless: see be_heedless.
hear() {
    trap - TERM
    if IFS= read -r word; then
        case $word in
            stop) true >"$work/stop" ;;
            *)
                echo "$word" >"$work/verdict"
                return
                ;;
        esac
    elif [ -e "$work/heedless" ]; then
        return
    fi
    # Said again until it is understood: a shell may be told between two commands, where it hears
    # nothing before its next wait has ended.
    while kill -TERM $$; do sleep 1 >/dev/null 2>&1 3<&-; done
}

# be_heedless: from here on the program goes on when nobody is there any more. Who wants to stop it says
# so, or sends a signal.
be_heedless() {
    true >"$work/heedless"
}

stop_listening() {
    [ -n "$listener" ] || return 0
    kill -KILL "$listener" 2>/dev/null
    wait "$listener" 2>/dev/null
    listener=
}

# await_verdict: what the node found out about the health of the release.
await_verdict() {
    begin probe
    say need verdict
    wait "$listener"
    # It would say again and again what we have heard.
    stop_listening
    alive
    word=
    { read -r word <"$work/verdict"; } 2>/dev/null
    case $word in
        commit) finish ;;
        rollback) fail unhealthy "the node found it unhealthy" ;;
        *)
            stopped=yes
            alive
            ;;
    esac
}
