#!/bin/sh
# Keeps the throw-away PostgreSQL cluster of a test run: starts it, prints READY, and stops it when no test has
# used it for some seconds. Each test has its own process under nextest, and may be killed. This script runs
# until no process has a lock on ROOM/users.lock; the kernel releases the locks of a killed process.
#
# usage: keeper.sh ROOM BIN PORT [COMMAND THAT DROPS TO ANOTHER USER ...]
#
# ROOM/keeper.lock  locked while this script runs: if it is free, no cluster runs, whatever files ROOM has
# ROOM/users.lock   locked, shared, by each process that uses the cluster
# ROOM/start.lock   locked by the process that decides to start or to stop the cluster
set -eu
room=$1 bin=$2 port=$3
shift 3
data=$room/data
idle_ticks=20 # half-seconds
cd /

exec 8<"$room/keeper.lock"
flock -n 8

# `8<&-`: the programs started here must not inherit the lock, because they may outlive this script.
"$@" "$bin/initdb" --pgdata="$data" --username=tsio --auth=trust --encoding=UTF8 --locale=C --no-sync \
  --no-instructions >&2 8<&-
"$@" "$bin/pg_ctl" start --wait --timeout=60 --silent --pgdata="$data" --log="$data/server.log" --options="\
 -c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=300\
 -c shared_buffers=64MB -c autovacuum_naptime=5min" >&2 8<&- || { cat "$data/server.log" >&2; exit 1; }
echo "$port" >"$room/port"
echo READY
exec >/dev/null 2>&1

stop_if_unused() { # 0: stopped, 1: in use again
  flock -n -x "$room/users.lock" true || return 1
  "$@" "$bin/pg_ctl" stop --mode=fast --wait --pgdata="$data" || true
  rm -rf "$data" "$room/port"
}

idle=0
while "$@" "$bin/pg_ctl" status --pgdata="$data"; do
  sleep 0.5
  if flock -n -x "$room/users.lock" true; then idle=$((idle + 1)); else idle=0; fi
  if [ "$idle" -ge "$idle_ticks" ]; then
    exec 9<"$room/start.lock"
    flock 9
    if stop_if_unused "$@"; then exit 0; fi
    exec 9<&-
    idle=0
  fi
done
