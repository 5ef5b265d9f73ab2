// A crowd for the benchmark of lists: 2,000 processes that sleep, in 300 namespaces, all below one process that takes
// them with it when it ends.

/** In each of so many groups: a network, an IPC and a UTS namespace, and so many sleeping processes. */
const groups = 100;
const sleepers = 20;

/** Something in the command lines of the sleepers, and of nobody else. */
export const mark = "sleep 36000";

export interface Crowd {
  /** Ends all of them. */
  stop(): Promise<void>;
}

/** Starts the crowd, and waits until every one of them sleeps. */
export const startCrowd = async (): Promise<Crowd> => {
  const group = `i=1; while [ $i -lt ${sleepers} ]; do ${mark} & i=$((i + 1)); done; exec ${mark}`;
  const script = `
    n=0; while [ $n -lt ${groups} ]; do unshare -niu sh -c '${group}' & n=$((n + 1)); done
    until [ "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^sleep$')" = ${groups * sleepers} ]; do :; done
    echo ready; read end`;
  const child = Bun.spawn(
    ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c", script],
    { env: { PATH: "/usr/bin:/bin" }, stdio: ["pipe", "pipe", "inherit"] },
  );
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  for await (const said of child.stdout) {
    if (new TextDecoder().decode(said) === "ready\n") return { stop };
    break;
  }
  await stop();
  throw new Error("the crowd did not come together");
};
