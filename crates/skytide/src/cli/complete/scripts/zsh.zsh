
# A query is completed by the program, all else as above.
_skytide_or_query() {
    local before="${(j: :)words[1,CURRENT-1]} ${QIPREFIX}${IPREFIX}${PREFIX}"
    local after="${SUFFIX}${ISUFFIX}${QISUFFIX} ${(j: :)words[CURRENT+1,-1]}"
    local -a offered texts shown
    offered=("${(@f)$(command $words[1] complete --shell zsh --line="$before" --after="$after" 2>/dev/null)}")
    if (( $#offered < 2 )); then
        _skytide "$@"
        return
    fi
    compset -p $(( $#PREFIX - $#offered[1] ))
    texts=("${(@)offered[2,-1]%%$'\t'*}")
    shown=("${(@)offered[2,-1]/$'\t'/  }")
    compadd -V queries -S '' -l -d shown -a texts
}
compdef _skytide_or_query skytide
