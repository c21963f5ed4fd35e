
# A query is completed by the program, all else as above. A bash from before 4.4 knows neither `mapfile` nor `nosort`.
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    _skytide_or_query() {
        local line="${COMP_LINE:0:COMP_POINT}" after="${COMP_LINE:COMP_POINT}" word="$2"
        local -a offered
        mapfile -t offered < <(command "$1" complete --shell bash --line="$line" --after="$after" 2>/dev/null)
        if (( ${#offered[@]} < 2 )); then
            _skytide "$@"
            return
        fi
        compopt -o nospace +o default +o bashdefault
        COMPREPLY=()
        # What is replaced ends the word; or, where one of COMP_WORDBREAKS is in it, begins before it.
        local typed="${offered[0]}" stem="" cut=0 offer
        if [[ $word == *"$typed" ]]; then
            stem="${word%"$typed"}"
        elif [[ $typed == *"$word" ]]; then
            cut=$(( ${#typed} - ${#word} ))
        else
            return
        fi
        for offer in "${offered[@]:1}"; do
            # When candidates are only listed, each with what it is.
            if [[ $COMP_TYPE == 63 ]]; then
                COMPREPLY+=("${offer%%$'\t'*}  ${offer#*$'\t'}")
            else
                offer="${offer%%$'\t'*}"
                COMPREPLY+=("$stem${offer:cut}")
            fi
        done
        # A query goes on: a word that is the only one would have its quote closed.
        if (( ${#COMPREPLY[@]} == 1 )) && [[ $COMP_TYPE == 9 ]]; then
            COMPREPLY+=("${COMPREPLY[0]}…")
        fi
    }
    complete -F _skytide_or_query -o nosort -o bashdefault -o default skytide
fi
