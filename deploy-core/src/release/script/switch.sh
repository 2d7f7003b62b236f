# What current points to.

# point_to <link> [file…]: one rename puts a new link in the place of the old one. The new link is made with
# the same name in another directory and moved into the project's root, because a plain mv onto a
# link to a directory would move into that directory. It lasts from then on, and so do the files. What
# went wrong is in first_said.
point_to() {
    link=$1
    shift
    {
        { [ ! -h "$work/switch/current" ] || rm -f "$work/switch/current"; } &&
            ln -s "$link" "$work/switch/current" &&
            mv -f "$work/switch/current" "$root/"
    } 2>"$work/said" && durable "$root" "$@"
}

# directory_of <link>: where a link in the project's root leads; the root itself without one.
directory_of() {
    case $1 in
        /*) printf '%s' "$1" ;;
        '') printf '%s' "$root" ;;
        *) printf '%s/%s' "$root" "$1" ;;
    esac
}

# switch_to <release> [file…]: it becomes current; the files last then, too.
switch_to() {
    begin switch
    still_ours
    to_serve=$1
    shift
    if [ "$current" != "$to_serve" ]; then
        point_to "releases/$to_serve" "$@" || switch_failed "$to_serve"
        current=$to_serve
    fi
    switched=yes
    finish
}

# The rename may have happened although what came after it failed.
switch_failed() {
    if [ "$(readlink "$root/current")" = "releases/$1" ]; then
        switched=yes
    fi
    broken "switching: $(first_said)"
}
