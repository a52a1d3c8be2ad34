#compdef egressctl
# zsh completion for egressctl
# Load it:  source <(egressctl completion zsh)   after compinit
_egressctl() {
    local reply line value help
    local -a values plain
    reply=$(egressctl __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null) || return 1
    for line in "${(f)reply}"; do
        case $line in
            :0) plain=(files) ;;
            :*) ;;
            *)
                value=${line%%$'\t'*}
                help=${line#"$value"}
                values+=("${value//:/\\:}${help:+:${help#$'\t'}}")
                ;;
        esac
    done
    (( $#values )) && _describe -V egressctl values
    (( $#plain )) && _files
}
(( $+functions[compdef] )) && compdef _egressctl egressctl
[[ $zsh_eval_context[-1] == loadautofunc ]] && _egressctl "$@"
true
