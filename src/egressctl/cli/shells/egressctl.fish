# fish completion for egressctl
# Load it:  egressctl completion fish | source
function __egressctl_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (egressctl __complete $words[2..-1] 2>/dev/null)
        switch $line
            case ':0'
                __fish_complete_path (commandline -ct)
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c egressctl -f -a '(__egressctl_complete)'
