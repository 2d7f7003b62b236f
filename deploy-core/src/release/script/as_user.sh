# Hooks of other users. Their text and environment go through a file that only we may open, which is
# their standard input: neither is in a list of processes. The first 16 bytes of the file are for the
# process id of what becomes the hook, because sudo and su may put it into a group of its own.

way=

# way_to <user>: what makes us that user, in $way; empty when we are.
way_to() {
    way=
    if [ "$1" != "$(id -un 2>/dev/null)" ]; then
        way=su
        ! command -v sudo >/dev/null 2>&1 || way=sudo
    fi
}

# look_for_users: whether we may become the users of hooks, before anything is done.
look_for_users() {
    [ -n "$hook_users" ] || return 0
    need_tools id
    for hook_user in $hook_users; do
        way_to "$hook_user"
        case $way in
            sudo) said=$(sudo -n -H -u "$hook_user" -- sh -c true 2>&1 </dev/null 3<&-) ;;
            su)
                if [ "$(id -u)" != 0 ] || ! command -v su >/dev/null 2>&1; then
                    fail tool_missing "the host lacks sudo, which a hook of the user $hook_user needs"
                fi
                said=$(su -s /bin/sh "$hook_user" -c true 2>&1 </dev/null 3<&-)
                ;;
        esac || { alive; fail host_rejected "$way does not let $(id -un) run hooks as $hook_user: ${said%%"$newline"*}"; }
    done
    way=
}

# quoted <text>: as a word of a shell, in $quoted.
quoted() {
    quoted=
    remaining=$1
    while :; do
        case $remaining in
            *"'"*) quoted="$quoted${remaining%%"'"*}'\\''" remaining=${remaining#*"'"} ;;
            *) break ;;
        esac
    done
    quoted="'$quoted$remaining'"
}

# hand_over <command>: the file that is the hook's standard input, in $input. It says where it ends,
# so that no part of it is taken for the whole.
hand_over() {
    input=$work/input
    umask 077
    {
        printf '%15s\n' ''
        for fact in $facts DEPLOY_HOOK DEPLOY_RELEASE_PATH DEPLOY_RELEASE DEPLOY_PREVIOUS_RELEASE \
            DEPLOY_PREVIOUS_PATH ${DEPLOY_ROLLBACK:+DEPLOY_ROLLBACK}; do
            eval "quoted \"\$$fact\""
            printf 'export %s=%s\n' "$fact" "$quoted"
        done
        quoted "$hook_directory"
        printf 'cd %s || exit 127\n' "$quoted"
        quoted "$1"
        printf 'eval %s\n#whole\n' "$quoted"
    } >"$input"
    umask 022
}

# start_as_user: what was handed over, in the background. The caller redirects the output.
start_as_user() {
    case $way in
        sudo) start / sudo -n -H -u "$hook_user" -- sh -c "$user_program" ;;
        su) start / su -s /bin/sh "$hook_user" -c "$user_program" ;;
    esac
}
