
# A query is completed by the program, all else as above.
function __skytide_offers
    set -l before (commandline -cp | string collect)
    set -l whole (commandline -p | string collect)
    set -l after (string sub -s (math (string length -- $before) + 1) -- $whole | string collect)
    command skytide complete --shell fish --line="$before" --after="$after" 2>/dev/null
end
complete -c skytide -n 'set -g __skytide_offered (__skytide_offers); test -n "$__skytide_offered"' -f -k -a '(printf "%s\n" $__skytide_offered)'
