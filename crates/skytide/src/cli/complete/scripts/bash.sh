
# A query is completed by the program, all else as above.
_skytide_or_query() {
    local line="${COMP_LINE:0:COMP_POINT}" after="${COMP_LINE:COMP_POINT}" word="$2"
    local -a offered
    mapfile -t offered < <(command "$1" complete --shell bash --line "$line" --after "$after" 2>/dev/null)
    if (( ${#offered[@]} < 2 )); then
        _skytide "$@"
        return
    fi
    local stem="${word%"${offered[0]}"}" offer
    compopt -o nospace +o default +o bashdefault
    COMPREPLY=()
    for offer in "${offered[@]:1}"; do
        # When candidates are only listed, each with what it is.
        if [[ $COMP_TYPE == 63 ]]; then
            COMPREPLY+=("${offer%%$'\t'*}  ${offer#*$'\t'}")
        else
            COMPREPLY+=("$stem${offer%%$'\t'*}")
        fi
    done
    # A query goes on: a word that is the only one would have its quote closed.
    if (( ${#COMPREPLY[@]} == 1 )) && [[ $COMP_TYPE == 9 ]]; then
        COMPREPLY+=("${COMPREPLY[0]}…")
    fi
}
complete -F _skytide_or_query -o nosort -o bashdefault -o default skytide
