"""A SLURM cluster on one machine: real daemons that play several nodes, with pretended processors and GPUs.

Debian's SLURM can run several slurmd side by side. Everything listens on the loopback interface, lives in one folder,
and ends with this process.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

PROFILE = Path(__file__).resolve().parents[2] / "profiles" / "slurm"
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sbatch", "mariadbd", "mariadb-install-db")
PACKAGES = "munge slurmctld slurmd slurm-client slurmdbd mariadb-server"
CLIENTS = ("sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")
CPU_NODES, GPU_NODES = ("cpu1", "cpu2"), ("gpu1", "gpu2")
NODES = (*CPU_NODES, *GPU_NODES)
CPUS, MEMORY_MB, GPUS = 16, 64_000, 4
"""What every node, and every node with GPUs, pretends to have."""
LONG = pytest.mark.skipif(
    os.environ.get("UNIMONTAGE_CLUSTER") != "required", reason="takes many minutes: make test-cluster runs it"
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def obstacle() -> str | None:
    """Why there can be no cluster here; None where there can."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=PATH) is None]
    if missing:
        return f"no {', '.join(missing)}: make test-cluster installs {PACKAGES} on Debian"
    if os.geteuid():
        return "slurmd changes the user of jobs, which only root may"
    if not socket.gethostbyname(socket.gethostname()).startswith("127."):
        return "the host name is no name of the loopback interface: srun would listen for everybody"
    return None


class Cluster:
    """Daemons in the foreground, as children.

    Partitions ``cpu`` (default) and ``gpu``; over all nodes, preempted by these, ``scavenge``, which puts its jobs back
    into the queue, and ``spot``, which cancels them.

    Parameters
    ----------
    folder : Path
        Configuration, state and logs.
    port : int, optional
        First of ten TCP ports; by default another for each process, since several may play a cluster at once.
    """

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self._port = folder, port or 16_910 + 10 * (os.getpid() % 300)
        self._daemons: list[subprocess.Popen] = []
        self._password = secrets.token_hex(16)

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which SLURM's commands talk to this cluster."""
        return {"SLURM_CONF": str(self._etc / "slurm.conf"), "PATH": f"{self.folder / 'bin'}:{PATH}"}

    def __enter__(self) -> Cluster:
        """Start everything, and wait until a job runs."""
        for name in ("etc", "bin", "log", "spool", "munge", "dev"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        try:
            self._start_munge()
            self._write_configuration()
            self._start_accounting()
            self._start("slurmctld", "slurmctld", "-D")
            _wait("slurmctld", lambda: self._succeeds("scontrol", "ping"))
            for node in NODES:
                self._start(f"slurmd.{node}", "slurmd", "-D", "-N", node)
            _wait("nodes", lambda: self.call("sinfo", "-h", "-N", "-o", "%t").split().count("idle") >= len(NODES))
            self.call("srun", "-n1", "--mem=50", "-t1", "true")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Cancel all jobs and stop what was started, last first."""
        if self._succeeds("scontrol", "ping"):
            self.call("scancel", "--user", "root")
            _wait("jobs to end", lambda: not self.call("squeue", "-h").strip())
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()

    def call(self, *command: str) -> str:
        """Output of one of SLURM's commands."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def jobs(self, folder: Path) -> list[dict[str, str]]:
        """Jobs of a folder by the accounting, first to last: rule and wildcards, what they asked for, their end."""
        asked = ("JobID", "Comment", "ReqTRES", "ReqMem", "Timelimit", "Partition")
        columns = (*asked, "State", "ExitCode", "NodeList", "Submit", "End", "WorkDir")
        text = self.call("sacct", "-X", "-n", "-P", "--starttime", "now-1day", "-o", ",".join(columns))
        rows = [dict(zip(columns, line.split("|"), strict=True)) for line in text.splitlines()]
        return [row for row in rows if row["WorkDir"] == str(folder)]

    @property
    def _etc(self) -> Path:
        return self.folder / "etc"

    @property
    def _socket(self) -> Path:
        return self.folder / "munge" / "socket"

    def _start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> None:
        log = (self.folder / "log" / f"{name}.log").open("wb")
        variables = self.environment | dict(environment or {})
        options = {"env": variables, "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        program = shutil.which(command[0], path=PATH)
        until_we_die = ("setpriv", "--pdeathsig", "TERM")  # also where the tests are killed
        self._daemons.append(subprocess.Popen([*until_we_die, program, *command[1:]], **options))

    def _succeeds(self, *command: str) -> bool:
        options = {"env": self.environment, "capture_output": True, "timeout": 30, "check": False}
        try:
            return subprocess.run(command, **options).returncode == 0
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False

    def _start_munge(self) -> None:
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        (self.folder / "munge").chmod(0o755)
        own = {name: self.folder / "munge" / name for name in ("pid", "seed", "log")}
        files = (f"--pid-file={own['pid']}", f"--seed-file={own['seed']}", f"--log-file={own['log']}")
        self._start("munged", "munged", "-F", f"--key-file={key}", f"--socket={self._socket}", *files)
        _wait("munged", self._socket.exists)

    def _write_configuration(self) -> None:
        (self._etc / "slurm.conf").write_text(self._slurm_conf())
        (self._etc / "slurmdbd.conf").write_text(self._slurmdbd_conf())
        (self._etc / "slurmdbd.conf").chmod(0o600)
        for index in range(GPUS):  # SLURM wants a character device for a GPU; these are /dev/null by another name
            device = self.folder / "dev" / f"nvidia{index}"
            if not device.exists():
                os.mknod(device, 0o666 | 0o020000, os.makedev(1, 3))
        devices = f"{self.folder}/dev/nvidia[0-{GPUS - 1}]"
        lines = [f"NodeName={node} Name=gpu Type=a100 File={devices}" for node in GPU_NODES]
        (self._etc / "gres.conf").write_text("\n".join(["AutoDetect=off", *lines, ""]))
        for client in CLIENTS:  # inside a job the plugin takes SLURM_CONF away
            path = self.folder / "bin" / client
            path.write_text(f'#!/bin/sh\nexport SLURM_CONF={self._etc}/slurm.conf\nexec /usr/bin/{client} "$@"\n')
            path.chmod(0o755)

    def _slurm_conf(self) -> str:
        host, tres = socket.gethostname().split(".")[0], f"CPUs={CPUS} RealMemory={MEMORY_MB} State=UNKNOWN"
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self._port + 3 + k} {tres}"
            + (f" Gres=gpu:a100:{GPUS}" if node in GPU_NODES else "")
            for k, node in enumerate(NODES)
        ]
        cpu, gpu, both = (f"Nodes={','.join(names)}" for names in (CPU_NODES, GPU_NODES, NODES))
        first, last = (f"MaxTime=1-0 DefaultTime=10 State=UP PriorityTier={tier} PreemptMode=" for tier in (10, 1))
        return "\n".join(
            [
                f"ClusterName=unimontage\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={self._port}",
                "SlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\nCredType=cred/munge",
                f"AuthInfo=socket={self._socket},cred_expire=20",  # a requeued job waits as long before it may start
                "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
                f"StateSaveLocation={self.folder}/spool/ctld\nSlurmdSpoolDir={self.folder}/spool/slurmd.%n",
                f"SlurmctldPidFile={self.folder}/slurmctld.pid\nSlurmdPidFile={self.folder}/slurmd.%n.pid",
                "MailProg=/bin/true\nMpiDefault=none\nSwitchType=switch/none\nPropagateResourceLimits=NONE",
                "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/linux",
                "JobAcctGatherFrequency=task=1\nJobAcctGatherParams=OverMemoryKill",  # in place of cgroups
                "SelectType=select/cons_tres\nSelectTypeParameters=CR_CPU_Memory\nSlurmdParameters=config_overrides",
                "SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0,bf_continue",
                "KillWait=5\nMinJobAge=300\nReturnToService=2\nSlurmctldTimeout=30\nSlurmdTimeout=30\nJobRequeue=1",
                "DefMemPerCPU=500\nGresTypes=gpu\nAccountingStorageTRES=gres/gpu\nAccountingStoreFlags=job_comment",
                f"AccountingStorageType=accounting_storage/slurmdbd\nAccountingStoragePort={self._port + 1}",
                f"AccountingStorageHost=localhost\nAccountingStoragePass={self._socket}",  # munge's socket, no password
                *nodes,
                "PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE",
                f"PartitionName=cpu {cpu} Default=YES {first}OFF\nPartitionName=gpu {gpu} {first}OFF",
                f"PartitionName=scavenge {both} {last}REQUEUE\nPartitionName=spot {both} {last}CANCEL",
                "",
            ]
        )

    def _slurmdbd_conf(self) -> str:
        return "\n".join(
            [
                f"AuthType=auth/munge\nAuthInfo=socket={self._socket}\nDbdHost=localhost\nDbdAddr=127.0.0.1",
                f"DbdPort={self._port + 1}\nSlurmUser=root\nCommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
                "StorageType=accounting_storage/mysql\nStorageHost=localhost\nStorageUser=slurm",
                f"StoragePass={self._password}\nStorageLoc=slurm_acct_db\nPidFile={self.folder}/slurmdbd.pid",
                "",
            ]
        )

    def _start_accounting(self) -> None:
        data, run = self.folder / "mysql", self.folder / "mysql-run"
        for path in (data, run):
            path.mkdir(exist_ok=True)
            shutil.chown(path, "mysql", "mysql")
        sock = run / "sock"
        own = ("--no-defaults", "--user=mysql", f"--datadir={data}")
        install = ("mariadb-install-db", *own, "--skip-test-db", "--auth-root-authentication-method=socket")
        subprocess.run(install, env=self.environment, capture_output=True, check=True)
        small = ("--skip-log-bin", "--performance-schema=OFF", "--innodb-buffer-pool-size=64M")
        fast = ("--innodb-log-file-size=32M", "--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0")
        self._start("mariadbd", "mariadbd", *own, f"--socket={sock}", "--skip-networking", *small, *fast)
        client = ("--no-defaults", f"--socket={sock}")
        _wait("mariadbd", lambda: self._succeeds("mariadb-admin", *client, "ping"))
        user = f"create user 'slurm'@'localhost' identified by '{self._password}'"
        grant = "grant all on slurm_acct_db.* to 'slurm'@'localhost'"
        self.call("mariadb", *client, "-e", f"create database slurm_acct_db; {user}; {grant};")
        self._start("slurmdbd", "slurmdbd", "-D", environment={"MYSQL_UNIX_PORT": str(sock)})
        _wait("slurmdbd", lambda: self._succeeds("sacctmgr", "-n", "show", "cluster"))
        self.call("sacctmgr", "-i", "-Q", "add", "cluster", "unimontage")
        self.call("sacctmgr", "-i", "-Q", "add", "account", "lab", "cluster=unimontage")
        self.call("sacctmgr", "-i", "-Q", "add", "user", "root", "account=lab")


def _wait(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.2)


def there(cluster: Cluster, profile: Path = PROFILE) -> dict:
    """Where the fixture ``snakemake`` runs its jobs: on a cluster, with a profile, and asking for them often."""
    path = f"{Path(sys.executable).parent}:{cluster.environment['PATH']}"
    quick = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
    return {"where": ("--profile", profile, *quick), "environment": cluster.environment | {"PATH": path}}


def tres(job: Mapping[str, str]) -> dict[str, str]:
    """What a job of the accounting asked for, by resource."""
    return dict(part.split("=", 1) for part in job["ReqTRES"].split(",") if part)


def gpus(job: Mapping[str, str]) -> int:
    """GPUs that a job of the accounting asked for."""
    return int(tres(job).get("gres/gpu", 0))


def rule(job: Mapping[str, str]) -> str:
    """Rule of a job of the accounting, from the comment that the plugin gives it."""
    return job["Comment"].removeprefix("rule_").split("_wildcards_")[0]


def states(jobs: Sequence[Mapping[str, str]]) -> set[str]:
    """How jobs ended."""
    return {job["State"].split()[0] for job in jobs}
