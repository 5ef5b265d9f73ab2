// The long routines, which few launchers contain: those who start none of these do not load them. See {@link lower}.

export { attachRoutine } from "./attach.ts";
export { heedRoutine } from "./heed.ts";
export { seeGuestOff, superviseLoop } from "./supervise.ts";
export { sweepRoutine } from "./sweep.ts";
