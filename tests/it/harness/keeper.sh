#!/bin/sh
# Runs the temporary PostgreSQL cluster of a test run: starts it, prints READY, and stops it when no test has used
# it for ten seconds. Under nextest each test has its own process, which may be killed. So this script checks
# whether any process has a lock on FOLDER/users.lock: the kernel releases the locks of a killed process.
#
# usage: keeper.sh FOLDER BIN PORT [COMMAND THAT SWITCHES TO ANOTHER USER ...]
#
# FOLDER/keeper.lock  locked while this script runs. If it is not locked, no cluster runs, even if FOLDER/data exists
# FOLDER/users.lock   locked, shared, by each process that uses the cluster
# FOLDER/start.lock   locked by the process that decides whether to start or to stop the cluster
set -eu
folder=$1 bin=$2 port=$3
shift 3
data=$folder/data
idle_ticks=20 # half-seconds
cd /

exec 8<"$folder/keeper.lock"
flock -n 8

# `8<&-` closes the lock file in the programs started here: they may run longer than this script, and must not keep the lock.
"$@" "$bin/initdb" --pgdata="$data" --username=tsio --auth=trust --encoding=UTF8 --locale=C --no-sync \
  --no-instructions >&2 8<&-
"$@" "$bin/pg_ctl" start --wait --timeout=60 --silent --pgdata="$data" --log="$data/server.log" --options="\
 -c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=300\
 -c shared_buffers=64MB -c autovacuum_naptime=5min" >&2 8<&- || { cat "$data/server.log" >&2; exit 1; }
echo "$port" >"$folder/port"
echo READY
exec >/dev/null 2>&1

stop_if_unused() { # returns 0 if the cluster is stopped, 1 if it is in use again
  flock -n -x "$folder/users.lock" true || return 1
  "$@" "$bin/pg_ctl" stop --mode=fast --wait --pgdata="$data" || true
  rm -rf "$data" "$folder/port"
}

idle=0
while "$@" "$bin/pg_ctl" status --pgdata="$data"; do
  sleep 0.5
  if flock -n -x "$folder/users.lock" true; then idle=$((idle + 1)); else idle=0; fi
  if [ "$idle" -ge "$idle_ticks" ]; then
    exec 9<"$folder/start.lock"
    flock 9
    if stop_if_unused "$@"; then exit 0; fi
    exec 9<&-
    idle=0
  fi
done
