# What becomes a hook of another user: its standard input says what it is, and takes its process id.
printf '%15s\n' "$$" >&0 || { echo "the host does not pass files on to other users" >&2; exit 126; }
text=$(cat)
exec </dev/null
case $text in
    *'#whole') ;;
    *) echo "the hook was ended before it began" >&2; exit 143 ;;
esac
eval "unset text
$text"
