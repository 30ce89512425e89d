#!/usr/bin/env bash
# A real one-node Ceph (mon + osd + radosgw) in a folder of its own, from Debian's packages: no systemd, no docker.
#
#   ceph-rgw.sh up DIR PORT MON_V2 MON_V1 [OWNER]  start it; returns when the gateway answers. When the process OWNER
#                                                  ends, however it ends, Ceph is stopped and DIR removed.
#   ceph-rgw.sh gateway DIR                        start the gateway again
#   ceph-rgw.sh down DIR                           stop it and remove DIR
#
# Objects live in memory (memstore) unless CEPH_STORE=bluestore; CEPH_BYTES bounds them (default 8 GiB).
# CEPH_RGW_SETTINGS: more lines of ceph.conf, for the gateway.
# Two S3 users are made: one with full rights, one that may only write (for signing upload URLs).
set -euo pipefail

verb=${1:?up, gateway or down} dir=$(realpath -ms -- "${2:?a folder}")

# Everything that runs for it, however it was started: each was given its ceph.conf.
processes() { grep -lszxF "CEPH_CONF=$dir/ceph.conf" /proc/[0-9]*/environ | cut -d/ -f3 || true; }

down() {
  # Their store goes with them; told to end, the gateway takes five seconds. One that is killed may just have started another.
  local pids
  # What looks for them is none of them.
  unset CEPH_CONF
  while pids=$(processes) && [[ -n $pids ]]; do
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  rm -rf "$dir"
}

await() { # await SECONDS COMMAND... : until it succeeds
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < until)) || { echo "no answer from: $*" >&2; return 1; }
    sleep 0.2
  done
}

gateway() {
  rm -f "$dir/run/client.rgw.pid"
  CEPH_CONF="$dir/ceph.conf" setsid radosgw -n client.rgw
  # Not any listener: another Ceph that starts now may have been given this port for its monitor.
  await 60 timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$(<"$dir/port") && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && [[ \$(head -c 5 <&3) = HTTP/ ]]"
}

case $verb in
  down) down; exit ;;
  gateway) gateway; exit ;;
  up) port=${3:?a port} mon_v2=${4:?a port} mon_v1=${5:?a port} owner=${6:-} ;;
  *) echo "usage: ceph-rgw.sh up|gateway|down DIR …" >&2; exit 2 ;;
esac

store=${CEPH_STORE:-memstore} bytes=${CEPH_BYTES:-8589934592}
mkdir -p "$dir"/{mon,osd,rgw,run,log}
echo "$port" >"$dir/port"
fsid=$(</proc/sys/kernel/random/uuid)

cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = $dir/run
admin socket = $dir/run/\$name.asok
pid file = $dir/run/\$name.pid
log file = $dir/log/\$name.log
auth cluster required = none
auth service required = none
auth client required = none
# What nobody reads costs a fifth of all that Ceph does.
$(for what in osd rgw ms objclass objecter monc mon paxos auth rados crush memstore mgrc throttle timer finisher; do
  echo "debug $what = 0/0"
done)
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
[client.admin]
# Several commands at once would want the same socket.
admin socket =
[mon.a]
mon data = $dir/mon
mon initial members = a
mon data avail crit = 0
[osd.0]
osd data = $dir/osd
osd objectstore = $store
memstore device bytes = $bytes
bluestore block size = $bytes
osd class load list = *
osd class default list = *
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw data = $dir/rgw
rgw run sync thread = false
# Deleted objects give their memory back within seconds, not hours.
rgw gc obj min wait = 5
rgw gc processor period = 5
rgw gc processor max time = 10
${CEPH_RGW_SETTINGS:-}
# With auth "none" the gateway hangs in AUTH_CONNECTING unless its monitor connection is plain crc.
ms mon client mode = crc
CONF
export CEPH_CONF="$dir/ceph.conf"

if [[ -n $owner ]]; then
  (
    unset CEPH_CONF
    while kill -0 "$owner" 2>/dev/null; do sleep 1; done
    down
  ) </dev/null >/dev/null 2>&1 &
  disown
fi

# Not "… || down": commands whose failure is looked at do not end a group that they are in.
exec 3>&2
trap '[[ $? = 0 ]] || { tail -n 20 "$dir/log/up.log" >&3 || true; down; }' EXIT
{
  monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon_v2,v1:127.0.0.1:$mon_v1]" "$dir/monmap"
  ceph-mon --id a --mkfs --monmap "$dir/monmap" --keyring /dev/null
  touch "$dir/mon/keyring"
  setsid ceph-mon --id a
  await 30 ceph -s
  ceph osd create
  ceph-osd --id 0 --mkfs --no-mon-config
  setsid ceph-osd --id 0
  radosgw-admin user create --uid=store --display-name=store --access-key=testkey --secret=testsecret
  radosgw-admin subuser create --uid=store --subuser=store:upload --access=write --access-key=uploadkey --secret=uploadsecret --key-type=s3
  gateway
} >"$dir/log/up.log" 2>&1
