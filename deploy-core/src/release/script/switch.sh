# What current points to.

# point_to <link>: one rename puts a new link in the place of the old one. The new link is made with
# the same name in another directory and moved into the project's root, because a plain mv onto a
# link to a directory would move into that directory.
point_to() {
    { [ ! -h "$work/switch/current" ] || rm -f "$work/switch/current"; } &&
        ln -s "$1" "$work/switch/current" &&
        mv -f "$work/switch/current" "$root/" && durable "$root"
}

# directory_of <link>: where a link in the project's root leads; the root itself without one.
directory_of() {
    case $1 in
        /*) printf '%s' "$1" ;;
        '') printf '%s' "$root" ;;
        *) printf '%s/%s' "$root" "$1" ;;
    esac
}

# switch_to <release>: it becomes current.
switch_to() {
    begin switch
    still_ours
    if [ "$current" != "$1" ]; then
        said=$(point_to "releases/$1" 2>&1) || switch_failed "$1"
    fi
    switched=yes
    finish
}

# The rename may have happened although what came after it failed.
switch_failed() {
    if [ "$(readlink "$root/current")" = "releases/$1" ]; then
        switched=yes
    fi
    broken "switching: ${said%%"$newline"*}"
}
