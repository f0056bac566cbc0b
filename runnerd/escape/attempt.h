// SPDX-License-Identifier: AGPL-3.0-only
// What the parts of auspex-escape-probe share. Each attempt runs in a process of its own, so that
// one that kills, stops or confines its process spoils no other.
#ifndef AUSPEX_RUNNERD_ESCAPE_ATTEMPT_H_
#define AUSPEX_RUNNERD_ESCAPE_ATTEMPT_H_

#include <span>
#include <string>
#include <string_view>

namespace auspex::escape {

// Where on the host to reach for, as the unit's payload says; and the place that can be written.
class Targets {
 public:
  Targets(std::string untrusted_input, std::string scratch)
      : input_(std::move(untrusted_input)), scratch_(std::move(scratch)) {}
  // The text member `name`, wherever it stands in the input; empty: there is none. Texts with
  // escapes are cut at the first.
  std::string Get(std::string_view name) const;
  const std::string& scratch() const { return scratch_; }

 private:
  std::string input_, scratch_;
};

struct Try {
  std::string_view name;               // as in the table
  std::string (*run)(const Targets&);  // the outcome
};
std::span<const Try> FileTries();
std::span<const Try> NetworkTries();
std::span<const Try> ProcessTries();
std::span<const Try> KernelTries();
std::span<const Try> BombTries();

// "worked", or the name of errno.
std::string Outcome(bool worked);
std::string ErrnoName(int error);
// system call by number; the outcome by its result.
std::string Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                 long f = 0);

// Ends the executor in the way `name`; the exit status, -1: there is no such ending.
int End(std::string_view name, const std::string& output);
// For three seconds leaves marks named after the target "own" and looks for those of "other": files,
// an abstract socket, processes, and processes that take a signal. The output says what was seen.
int Neighbour(const Targets& targets, const std::string& output);
// Writes the file whole; false with errno.
bool WriteOutput(const std::string& path, std::string_view text);

}  // namespace auspex::escape

#endif  // AUSPEX_RUNNERD_ESCAPE_ATTEMPT_H_
