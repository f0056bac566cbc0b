// SPDX-License-Identifier: AGPL-3.0-only
// AllowList: the system calls that a process keeps, as data, and the BPF program made of them. Everything else, every foreign
// architecture and x86-64's x32 numbers kill the whole process, so that a broken process gets no second try and its end is seen
// (SIGSYS). A list may say that what it does not name is refused instead (Otherwise::kRefuse); foreign numbers kill all the same.
// A list is read by people: each row says which code needs the call.
//
//   const AllowList& list = KeydCalls();
//   RETURN_IF_ERROR(KeepOnly(list));         // last thing of the start; holds for every thread, present and future
//
// Pitfall: the kernel takes an `int` argument's lower half only. A check of such an argument has a 32-bit mask (kInt), else a
// value with rubbish in its upper half would pass for another one.
//
// Functions are pure but for KeepOnly; any thread.
#ifndef AUSPEX_COMMON_HARDEN_ALLOW_LIST_H_
#define AUSPEX_COMMON_HARDEN_ALLOW_LIST_H_

#include <linux/filter.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace auspex {

inline constexpr uint64_t kInt = 0xffffffff;
inline constexpr uint64_t kWide = ~uint64_t{0};
// As a value: the process id of the caller, known when the program is made.
inline constexpr uint64_t kOwnPid = 0x4f574e5049440000;

// (argument & mask) == value.
struct ArgumentCheck {
  unsigned argument;  // 0..5; at most one check an argument
  uint64_t mask;
  uint64_t value;
};

// A call that is allowed when all of `when` hold; several rows of one name are alternatives.
struct AllowedCall {
  std::string_view name;
  std::vector<ArgumentCheck> when;
  std::string_view needed_by;
};

// A call that fails with ENOSYS in place of killing, because a library then takes an older one, whose arguments can be checked.
struct AbsentCall {
  std::string_view name;
  std::string_view needed_by;
};

// What becomes of a call that no row names.
enum class Otherwise {
  kKill,    // for a program whose every call is its own
  kRefuse,  // EPERM: for one in which libraries of the host, or programs that inherit the filter, may try what they can do without
};

struct AllowList {
  std::vector<AllowedCall> allowed;
  std::vector<AbsentCall> absent;
  Otherwise otherwise = Otherwise::kKill;

  // Appends `rows`. Where one name comes with and without checks, the row without them is what counts (Compile).
  void Add(std::vector<AllowedCall> rows);
};

// The program for the present architecture. Names that only other architectures have (poll on aarch64) are left out. INTERNAL
// when libseccomp does not know a name or cannot express a row: a program that is weaker or narrower than its list is never made.
absl::StatusOr<std::vector<sock_filter>> Compile(const AllowList& list, int own_pid);

// Puts the program in force for all threads and verifies it by its effect. Needs no-new-privileges. UNAVAILABLE with the cause
// when the kernel does not take it; the process is then as before.
absl::Status KeepOnly(const AllowList& list);

}  // namespace auspex

#endif  // AUSPEX_COMMON_HARDEN_ALLOW_LIST_H_
