#!/bin/busybox sh
# A guest's first process: mounts what a freshly started Debian has mounted, runs the job's scripts one after another,
# and switches the machine off. busybox's shell runs its own programs without looking for them, so all of this is the
# same on every disk. What the job is stands on a disk of its own (guest.ts writes it), results go to a third.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
job_disk=/dev/nvme0n2 result_disk=/dev/nvme0n3

# The host reads these lines from the serial console. They are the authority on what was reached.
say() { echo "@@ $*" >/dev/console; }

# Without it busybox's shell does not find its own programs, /proc/self/exe.
/bin/busybox mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid dev /dev 2>/dev/null # the kernel's own may be there
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev shm /dev/shm
mount -t tmpfs -o nosuid,nodev,mode=755 run /run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmp /tmp
mount -t mqueue mqueue /dev/mqueue 2>/dev/null
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
# Systemd shares the root's mounts, and containers are made on such machines.
mount --make-rshared /
ip link set lo up
hostname guest
for user in alice bob; do chown $user:$user /home/$user; done
while read -r module; do insmod "/lib/guest-modules/$module"; done </lib/guest-modules/order

mkdir /run/guest /run/guest/results
tar -xf $job_disk -C /run/guest
. /run/guest/setup

version1() {
  mount -t tmpfs -o nosuid,nodev,noexec,mode=755 cgroup /sys/fs/cgroup
  for controllers in cpuset cpu,cpuacct blkio memory devices freezer net_cls,net_prio perf_event hugetlb pids rdma misc; do
    mkdir /sys/fs/cgroup/$controllers
    mount -t cgroup -o nosuid,nodev,noexec,$controllers cgroup /sys/fs/cgroup/$controllers
    case $controllers in *,*)
      for one in ${controllers/,/ }; do ln -s $controllers /sys/fs/cgroup/$one; done ;;
    esac
  done
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o nosuid,nodev,noexec,none,name=systemd cgroup /sys/fs/cgroup/systemd
}
version2() { mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate cgroup2 "$1"; }
case $cgroups in
  v2) version2 /sys/fs/cgroup ;;
  v1) version1 ;;
  hybrid) version1; mkdir /sys/fs/cgroup/unified; version2 /sys/fs/cgroup/unified ;;
  none) ;;
esac

[ -d /run/guest/files ] && tar -cf - -C /run/guest/files . | tar -xf - -C /
. /run/guest/prepare

if [ "$shell" ]; then
  cd /root
  setsid cttyhack /bin/sh -l
  poweroff -f
fi

send() { tar -cf - -C /run/guest results | dd of=$result_disk bs=64k conv=fsync 2>/dev/null; }

for test in /run/guest/tests/*; do
  number=${test##*/}
  . $test/how
  results=/run/guest/results/$number
  mkdir $results
  say BEGIN $number
  before=$(date +%s)
  if [ "$user" = root ]; then cd /root; else cd /home/$user; fi
  timeout -s KILL $limit su $user -s /bin/sh -c "exec /bin/sh -eu $test/script" </dev/null >$results/stdout 2>$results/stderr
  status=$?
  [ $(($(date +%s) - before)) -lt $limit ] || echo $limit >$results/late
  cd /
  kill -9 -1 # whatever a script has left running is not the next one's business
  echo $status >$results/status
  send
  say END $number
done
say DONE
poweroff -f
