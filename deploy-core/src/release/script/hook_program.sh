# What becomes the hook: <command> <directory>. The environment is all that the command learns.
command=$1
cd "$2" || exit 127
exec sh -c "$command"
