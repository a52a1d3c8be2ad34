# bash completion for egressctl
# Load it:  source <(egressctl completion bash)
_egressctl() {
    local before=${COMP_LINE:0:COMP_POINT} reply line word value prefix
    COMPREPLY=()
    reply=$(egressctl __complete --line "$before" 2>/dev/null) || return
    # readline splits words at = and : as well, and replaces the last piece only
    word=${before##*[[:space:]]}
    prefix=""
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && prefix=${word%"${word##*=}"}
    [[ $COMP_WORDBREAKS == *:* && ${word#"$prefix"} == *:* ]] && prefix=${word%"${word##*[:=]}"}
    while IFS= read -r line; do
        case $line in
            :0) compopt -o default 2>/dev/null ;;
            :*) ;;
            *)
                value=${line%%$'\t'*}
                COMPREPLY+=("${value#"$prefix"}")
                [[ $value == *= || $value == */ ]] && compopt -o nospace 2>/dev/null
                ;;
        esac
    done <<<"$reply"
}
complete -F _egressctl egressctl
