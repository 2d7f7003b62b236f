# Asking a monitoring address once, from the host. What the tool gives goes to standard output, as much
# of it as is wanted; what it says of itself, and our own words, to standard error.

fail() {
    say fail "$1" probe "$2" >&2
    exit 1
}

over_http() {
    case $asker in
        # With the answer's head before its body. No file and no variable of the login counts.
        curl) curl -q -g -sS -i -m "$patience" --noproxy '*' --proto '=http,https' "$url" ;;
        wget)
            case $(wget --help 2>&1 </dev/null) in
                *GNU*)
                    wget --no-config -q -S -O - -t 1 -T "$patience" --max-redirect=0 --content-on-error \
                        --no-proxy "$url"
                    ;;
                # Without a time of its own, by which some of busybox's die.
                *) wget -q -S -O - -Y off "$url" ;;
            esac
            ;;
        busybox) busybox wget -q -S -O - -Y off "$url" ;;
    esac
}

over_tcp() {
    case $asker in
        # shellcheck disable=SC2016 # Its own words.
        bash) bash -c 'exec 9<>"/dev/tcp/$1/$2"' ask "$ask_host" "$ask_port" ;;
        nc)
            case $(nc --help 2>&1 </dev/null) in
                *BusyBox*) nc -w "$patience" "$ask_host" "$ask_port" -e sh -c : ;;
                *) nc -z -w "$patience" "$ask_host" "$ask_port" ;;
            esac
            ;;
        busybox) busybox nc -w "$patience" "$ask_host" "$ask_port" -e sh -c : ;;
    esac
}

exec </dev/null
find_asker "$scheme"
case $scheme:$asker in
    tcp:*) say by tcp >&2 ;;
    *:busybox) say by wget >&2 ;;
    *) say by "$asker" >&2 ;;
esac
{
    case $scheme in
        tcp) over_tcp ;;
        *) over_http ;;
    esac
    say exit "$?" >&2
} | head -c "$wanted"
