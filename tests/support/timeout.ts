// Loaded before every test file (bunfig.toml): a busy machine gets half a minute for a test. `timeout` in bunfig.toml is
// not read by Bun 1.4.5, which leaves the five seconds of its own.

import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(30_000);
