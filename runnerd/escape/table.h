// SPDX-License-Identifier: AGPL-3.0-only
// The escape suite as data: what a hostile tenant tries and what must come of it. The same table is
// compiled into auspex-escape-probe, which tries each row from inside a sandbox, into runnerd,
// which prints it (auspex sandbox self-test), and into the tests that hold it against a run of the
// same program outside. Constant data, any thread.
#ifndef AUSPEX_RUNNERD_ESCAPE_TABLE_H_
#define AUSPEX_RUNNERD_ESCAPE_TABLE_H_

#include <span>
#include <string_view>

namespace auspex::escape {

// What the same attempt does as root in an ordinary process, so that a refusal inside means
// something.
enum class Control {
  kWorks,  // it succeeds
  kOther,  // it ends otherwise than inside: not its arguments but the wall refuses it
  kNone,   // not tried outside, where it would do harm or means nothing
};

// Outcomes are words: "worked"; the name of an errno ("EPERM") or of the signal that ended the
// attempt ("SIGSYS"); "absent" for what was looked for and is not there; "unaffected" for a call
// that is taken and does nothing; "bounded" for a bomb that met a limit; "timeout".
struct Attempt {
  std::string_view name;
  std::string_view what;
  std::string_view expected;  // outcomes that hold, with '|' between
  Control control = Control::kWorks;
  // Held by a limit of all processes together, which needs cgroup v2 where the daemons run as root:
  // the kernel exempts root's user from RLIMIT_NPROC.
  bool needs_process_limit = false;
};
std::span<const Attempt> Attempts();

// An executor that ends its unit in a hostile way: its output, its processes, its time.
struct Ending {
  std::string_view name;
  std::string_view what;
  // "completed", or what the reason of the unit's runner_failed holds.
  std::string_view expected;
};
std::span<const Ending> Endings();

// Whether `outcome` is one of `expected`.
bool Holds(std::string_view expected, std::string_view outcome);

// The reason of a unit that the executor's wall clock ended; endings that expect it wait for that.
inline constexpr std::string_view kOverTime = "executor ran over its limit";

}  // namespace auspex::escape

#endif  // AUSPEX_RUNNERD_ESCAPE_TABLE_H_
