# The guard of a hook, a process of its own: <program> <hook> <seconds> <file>. It ends the hook when
# its time is over, and when our program was killed and can do it no more.
program=$1 hook=$2 left=$3 late=$4

while [ "$left" -gt 0 ]; do
    sleep 1
    left=$((left - 1))
    if ! kill -0 "$program" 2>/dev/null; then
        kill -KILL "-$hook" 2>/dev/null
        exit
    fi
done

echo late >"$late"
kill -TERM "-$hook" 2>/dev/null
left=50
while [ "$left" -gt 0 ] && kill -0 "-$hook" 2>/dev/null; do
    sleep 0.1 2>/dev/null || { sleep 1; left=$((left - 9)); }
    left=$((left - 1))
done
kill -KILL "-$hook" 2>/dev/null
