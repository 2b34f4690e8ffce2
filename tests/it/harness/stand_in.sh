#!/bin/sh
# Replaces the tsio program in the tests of the harness: it accepts the same arguments, and does only what these tests need.
case $1 in
  migrate)
    case $3 in
      sqlite://*) file=${3#sqlite://}; echo "migrated" >"${file%%\?*}" ;;
      postgres://*) psql -XAtq -d "$3" -c 'CREATE TABLE migrated (at_all int)' ;;
    esac ;;
  serve)
    echo "serving $3" >&2
    [ "$6" = --broken ] && exit 1
    trap 'kill $!; exit 0' TERM
    [ "$6" = --stubborn ] && trap 'kill $!; exit 3' TERM
    echo "some line before"
    echo "LISTENING 127.0.0.1:9"
    sleep 60 >/dev/null 2>&1 &
    wait ;;
  --server)
    echo "{\"server\":\"$2\",\"output\":\"$4\",\"rest\":\"$5 $6\"}"
    echo "refused" >&2
    exit 1 ;;
esac
