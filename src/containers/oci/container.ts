// What the parts of the planner for OCI bundles share: the container, and the slots that several of them know.

import { slot } from "../../plan/call.ts";
import type { Container } from "../container.ts";

/** A container of a bundle. Its own part of the planner makes more of the config than `nsk run` needs. */
export interface Bundle extends Pick<Container, "id" | "config" | "filter" | "limits" | "users"> {
  /** The directory of config.json, absolute: relative sources of bind mounts are in it. */
  readonly bundle: string;
  /** Where its state is kept: the pipe that it waits at, and the states that hooks read. */
  readonly directory: string;
  /** How many descriptors of the caller's the program gets as 3 and up. */
  readonly preserved: number;
  /** It has the caller's keys. */
  readonly keepsKeyring: boolean;
  /** Its root is changed by chroot(2): for a root that is the machine's initramfs. */
  readonly noPivot: boolean;
}

/** The socket to the nsk that makes the container. */
export const channel = slot("nsk");

/** Standard error of the program; until it starts, errors go to nsk. */
export const ownErrors = slot("stderr");

/** The named pipe that it waits at for the start. */
export const start = slot("start");

/** The descriptors that nsk hands to the launcher behind those of the caller's, in this order. */
export const CHANNEL = ({ preserved }: Bundle): number => 3 + preserved;
export const ERRORS = ({ preserved }: Bundle): number => 4 + preserved;

/** Where descriptors that the launcher gives names are, as low as can be: a caller may allow few. */
export const NAMED = ({ preserved }: Bundle): number => 5 + preserved;

/** Files in the state's directory. */
export const START = "start.fifo";
export const CREATING = "creating.json";
export const CREATED = "created.json";
