# What asks a monitoring address on the host itself.

# find_asker <scheme>: in $asker.
find_asker() {
    case $1 in
        tcp) set -- bash nc busybox ;;
        *) set -- curl wget busybox ;;
    esac
    for asker in "$@"; do
        if command -v "$asker" >/dev/null 2>&1; then return; fi
    done
    fail tool_missing "the host lacks $1, $2 and $3, of which one asks its monitoring address"
}
