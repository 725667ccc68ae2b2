#!/usr/bin/env node
// Starts the binary of the package for this platform. npm installs the one that fits by its `os` and `cpu`, so nothing is
// fetched or run while it installs.
"use strict";

const fs = require("fs");
const { constants } = require("os");
const { spawn } = require("child_process");

const name = `procvault-${process.platform}-${process.arch}`;
let binary;
try {
  binary = require.resolve(`${name}/bin/vault${process.platform === "win32" ? ".exe" : ""}`);
} catch {
  console.error(`vault: error: the package ${name} is not installed`);
  console.error("hint: install procvault without --omit=optional; see its README for the platforms there are");
  process.exit(1);
}
const words = process.argv.slice(2);

// Node since 22.15 can become another program, as a shell's `exec` does: then nothing of it stays behind.
if (typeof process.execve === "function" && process.platform !== "win32") {
  process.execve(binary, ["vault", ...words], process.env);
}

const child = spawn(binary, words, { stdio: "inherit" });
const signals = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];
for (const signal of signals) process.on(signal, () => child.kill(signal));
// A terminal sends these to both, and it is the child that decides. Without one they come to this process alone.
let terminal = true;
try {
  fs.closeSync(fs.openSync("/dev/tty", "r"));
} catch {
  terminal = false;
}
for (const signal of ["SIGINT", "SIGQUIT"]) {
  process.on(signal, () => {
    if (!terminal) child.kill(signal);
  });
}
child.on("error", (error) => {
  console.error(`vault: error: ${binary} can't be started: ${error.code}`);
  process.exit(126);
});
child.on("exit", (code, signal) => {
  if (signal) {
    // As the child has ended, so do we: a shell and a service manager see the truth.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    setTimeout(() => process.exit(128 + constants.signals[signal]), 1000);
  } else {
    process.exit(code);
  }
});
