#!/bin/sh
# Create the users of a board's queue server: users.acl for the server, and for each role a file with its address.
#
#   deploy/redis/make-users.sh BOARD FOLDER [ADDRESS]
#
# BOARD is the board's `name`; ADDRESS is the server's URL without user and password, by default redis://redis:6379/0.
# Every call makes new passwords: have the server load the file (`ACL LOAD`, or a restart), then start the processes.
set -eu
if [ $# -lt 2 ]; then
    sed -n 's/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
board=$1 folder=$2 address=${3:-redis://redis:6379/0}
case $board in
    "" | *[!A-Za-z0-9_.-]*) echo "$board is not the name of a board." >&2; exit 2 ;;
esac
umask 077
mkdir -p "$folder"
rules=$(sed "s/BOARD/$board/g" "$(dirname "$0")/users.acl")
for role in sync web worker; do
    password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
    digest=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
    name=$(printf %s "$role" | tr a-z A-Z)
    rules=$(printf '%s\n' "$rules" | sed "s/${name}_SHA256/$digest/")
    printf '%s\n' "${address%%://*}://steward-$role:$password@${address#*://}" >"$folder/redis-url-$role"
done
printf '%s\n' "$rules" >"$folder/users.acl"
chmod 644 "$folder/users.acl" # digests of long random words: the server may run as another user
