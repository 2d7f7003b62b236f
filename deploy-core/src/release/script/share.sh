# Shared paths: kept beside the releases and linked into each one, relatively, so that the whole
# project can move.

# share <path> <up>: <up> leads from the path's directory in a release to the project's root. What the
# package has there becomes the shared one when there is none yet, and goes otherwise.
share() {
    place_in_release=$incoming/$1
    shared=$root/shared/$1
    part=$1
    while [ "$part" != "${part%/*}" ]; do
        part=${part%/*}
        [ ! -h "$incoming/$part" ] || fail invalid "the shared path $1 leads through a link of the package"
    done
    must mkdir -p "${shared%/*}" "${place_in_release%/*}"
    if [ -e "$place_in_release" ] || [ -h "$place_in_release" ]; then
        if [ -e "$shared" ] || [ -h "$shared" ]; then
            must rm -rf "$place_in_release"
        else
            must mv "$place_in_release" "$shared"
        fi
    fi
    [ -e "$shared" ] || [ -h "$shared" ] || must mkdir "$shared"
    must ln -s "$2shared/$1" "$place_in_release"
}
