// SPDX-License-Identifier: AGPL-3.0-only
// What a tenant does to use up a machine: memory, processes, processors. One thread.
#ifndef AUSPEX_TESTS_RUNNERD_TENANT_LOAD_H_
#define AUSPEX_TESTS_RUNNERD_TENANT_LOAD_H_

// `count` children that each fill `megabytes` of memory and hold it until all have. Whether all did.
bool TouchInChildren(int megabytes, int count);

// Processes that each make their successor and end, for ever: whoever lists them lists the dead.
[[noreturn]] void ForkChain();

struct Work {
  long rounds = 0;          // of all processes together, each the same work
  long longest_gap_ms = 0;  // between two rounds of one process, by the clock
};
// Counts rounds of work in `processes` processes for so long by the clock.
Work WorkFor(int milliseconds, int processes);

#endif  // AUSPEX_TESTS_RUNNERD_TENANT_LOAD_H_
