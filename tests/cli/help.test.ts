// Help as a person sees it. The layout is util-linux's.

import { describe, expect, test } from "bun:test";
import { helpText, overview } from "../../src/cli/help.ts";
import { commands } from "../../src/cli/table.ts";
import { command, type OptionTable } from "../../src/commands/command.ts";
import { mirroredTools } from "../../src/commands/mirrored.ts";

const sample = (args: OptionTable, description = "Do a thing to a group.") =>
  command({
    definition: { meta: { name: "sample", description }, args },
    usage: "[options] <group> [<program> [<argument>...]]",
    failure: 1,
    run: () => 0,
  });

test("help shows usage, description, arguments and options in two columns of 80 characters", () => {
  const table = {
    group: { type: "positional", description: "the control group" },
    mount: { type: "string", alias: "m", optional: true, valueHint: "file", description: "unshare mounts" },
    fork: { type: "boolean", alias: "f", description: "fork before launching <program>" },
    mapUser: {
      type: "string",
      valueHint: "uid|name",
      description: "map the current user to this one, which is either a number or a name (implies --user)",
    },
    killChild: {
      type: "string",
      optional: true,
      valueHint: "signal",
      description: "when dying, kill the child",
    },
    propagation: { type: "enum", options: ["slave", "shared"], description: "how mounts spread" },
    r: { type: "string", multiple: true, valueHint: "name=value", description: "a setting" },
    root: { type: "string", alias: ["R", "new-root"], description: "the root directory" },
  } as const satisfies OptionTable;
  expect(helpText(sample(table))).toMatchInlineSnapshot(`
    "Usage:
     nsk sample [options] <group> [<program> [<argument>...]]

    Do a thing to a group.

    Arguments:
     <group>                    the control group

    Options:
     -m, --mount[=<file>]       unshare mounts
     -f, --fork                 fork before launching <program>
         --map-user=<uid|name>  map the current user to this one, which is either a
                                number or a name (implies --user)
         --kill-child[=<signal>]
                                when dying, kill the child
         --propagation=slave|shared
                                how mounts spread
     -r <name=value>            a setting
     -R, --root, --new-root=<value>
                                the root directory

     -h, --help                 display this help
     -V, --version              display version
    "
  `);
});

test("a short name that the command uses itself is not the one of help", () => {
  const table = { hostname: { type: "string", alias: "h", description: "the name" } } as const;
  expect(helpText(sample(table))).toMatchInlineSnapshot(`
    "Usage:
     nsk sample [options] <group> [<program> [<argument>...]]

    Do a thing to a group.

    Options:
     -h, --hostname=<value>  the name

         --help              display this help
     -V, --version           display version
    "
  `);
});

test("nsk --help lists the commands by group", async () => {
  expect(await overview()).toMatchInlineSnapshot(`
    "Usage:
     nsk <command> [options] [<operand>...]

    Namespaces, control groups and containers in one program.

    Namespaces:
     unshare         Run a program in new namespaces, made as the options say
     nsenter         Run a program in namespaces that are there
     lsns            List namespaces
     ps              List processes by namespace and container, with their ids
                     outside and inside

    Control groups:
     cgcreate        Make control groups
     cgset           Change settings of control groups
     cgget           Show settings of control groups
     cgexec          Run a program in control groups
     cgclassify      Move running processes into control groups
     cgdelete        Remove control groups
     cgxset          Change settings of control groups by the names of one version
     cgxget          Show settings of control groups by the names of one version
     cgtranslate     Show what settings of one version of control groups are on the
                     other, and change nothing
     top             Show what control groups use and may use, as a tree
     why             Say what a process is held back by: its namespaces, its control
                     groups, the limits in force from there to the root and the one
                     that binds, throttling, and processes killed for want of memory
     cgsnapshot      Write down the groups that are there, as a cgconfig.conf
     cgconfigparser  Mount and make what a cgconfig.conf says
     lscgroup        List control groups
     lssubsys        List controllers and where they are

    Containers:
     run             Run a program in a container: namespaces, a root, limits and
                     least privilege, gone when it ends
     exec            Run another program in a container that runs, confined as the
                     container's own is
     attach          Carry the terminal of a container in the background (run -d -t)
                     here, until it ends or the keys to detach are typed
     logs            Show what a container in the background (run -d) has printed:
                     its standard output here, its standard error there
     stop            Ask containers to end, by name or the beginning of the id, and
                     kill those that do not
     kill            Send containers a signal, by name or the beginning of the id
     wait            Wait until containers have ended, and print their exit statuses
     rm              Remove containers that have ended: the log, the exit status,
                     the name
     inspect         Print all that is known of containers, as JSON
     stats           Show what containers use, all that run unless some are named,
                     every second
     oci             Make containers from OCI bundles, with runc's command line

    Images:
     pull            Get an image from a registry
     push            Put an image into a registry: under its own name, or under the
                     one behind it
     images          List the images in the store, the newest first
     rmi             Remove images by name or id
     import          Make images of a file: what 'docker save' wrote, an OCI layout
                     (a directory or its tar), or the tar of a root file system;
                     plain, gzip or zstd
     login           Log in to a registry (docker's own unless one is named)
     logout          Forget the login of a registry (docker's own unless one is
                     named)

    Scripts:
     script          Run a script in TypeScript
     eval            Run code given as an argument
     types           Write the API's types for an editor

    This tool:
     install-links   Make links to this program, named after the tools that it
                     stands in for
     doctor          Say what this machine can and cannot do for nsk
     completion      Print what makes a shell complete nsk's command lines
     man             Show the manual page of a command
     help            Display help about a command

    Options:
     -h, --help      display this help
     -V, --version   display version
         --licenses  display the licences of what this file contains

    See 'nsk help <command>' for the options of a command.
    "
  `);
});

describe("the help of every command", () => {
  test.each(Object.keys(commands))("%s fits into 80 columns and describes every option", async (name) => {
    const command = await commands[name]!.load();
    expect(command.definition.meta).toMatchObject({ name });
    const lines = helpText(command).split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    for (const [key, option] of Object.entries(command.definition.args as OptionTable))
      expect([key, Boolean(option.description)]).toEqual([key, true]);
  });
});

test("every mirrored tool is a command", () => {
  expect(mirroredTools.filter((tool) => !Object.hasOwn(commands, tool))).toEqual([]);
});
