# For the scripts in the folder above, which read this first of all: -h and --help before a "--" are answered
# here, so that nothing is set up for them. The answer is NAME.txt in this folder (NAME--MODE.txt, if the first
# word is that --MODE), or the comment at the top of the script, with the script's name as it was typed.
for argument in "$@"; do
    case $argument in
    --) break ;;
    -h | --help)
        name=$(basename "$0")
        usage=$(dirname "${BASH_SOURCE[0]}")
        if [ -e "$usage/$name${1:-}.txt" ]; then
            cat "$usage/$name$1.txt"
        elif [ -e "$usage/$name.txt" ]; then
            cat "$usage/$name.txt"
        else
            sed -n '2,${/^#/!q;s/^# \{0,1\}//;p}' "$0"
        fi | sed "s|scripts/$name|$0|g"
        exit
        ;;
    esac
done
