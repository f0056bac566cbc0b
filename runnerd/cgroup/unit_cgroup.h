// SPDX-License-Identifier: AGPL-3.0-only
// UnitCgroup: the cgroup of one unit. Every process of the unit is born in it and none can leave
// it, so that it stands for all of them: what it limits is limited for the unit as a whole, what it
// kills is gone, and when it is empty nothing is left. Made by CgroupTree::Make. One thread at a
// time, except where it is said.
#ifndef AUSPEX_RUNNERD_CGROUP_UNIT_CGROUP_H_
#define AUSPEX_RUNNERD_CGROUP_UNIT_CGROUP_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::runnerd {

// What is not set is not limited, here and where the host lacks the controller.
struct CgroupLimits {
  std::optional<uint64_t>
      memory_octets;  // of all processes, their scratch and the kernel's for them
  std::optional<uint64_t> swap_octets;
  std::optional<uint64_t> processes;  // and threads
  std::optional<double> cpus;         // processors kept busy, 0.01 or more
};

struct CgroupUsage {
  std::optional<uint64_t> memory_peak_octets;  // kernels from 5.19 on
  std::optional<uint64_t> cpu_micros;
  uint64_t out_of_memory = 0;      // times that the kernel killed for want of memory
  bool own_memory_limit = false;   // it was the unit's limit that was met, not one above it
  uint64_t processes_refused = 0;  // forks that met a limit
};

class UnitCgroup {
 public:
  UnitCgroup(UnitCgroup&&) noexcept = default;
  UnitCgroup& operator=(UnitCgroup&&) = delete;
  // As End, where that was not called.
  ~UnitCgroup();

  // For CLONE_INTO_CGROUP. Do not start a process while the cgroup is frozen or to be: it would
  // freeze before its exec, and its parent waits for that.
  int fd() const { return folder_.get(); }
  // Asks the kernel to freeze or thaw everything inside; it takes a moment.
  absl::Status SetFrozen(bool frozen);
  // Whether all of it is frozen now.
  bool IsFrozen() const;
  // SIGKILL for everything inside, frozen or not, however fast it forks.
  absl::Status Kill();
  // No process is left inside.
  bool IsEmpty() const;
  CgroupUsage Usage() const;
  // Kills what is left, waits until it is empty and removes it. INTERNAL when the kernel does not
  // let a process die, or the cgroup go, within 10 s.
  absl::Status End();

 private:
  friend class CgroupTree;
  UnitCgroup(int units, std::string name, UniqueFd folder, UniqueFd events, bool own_memory)
      : units_(units),
        name_(std::move(name)),
        folder_(std::move(folder)),
        events_(std::move(events)),
        own_memory_(own_memory) {}

  int units_;  // the tree's, which outlives this
  std::string name_;
  UniqueFd folder_, events_;
  bool own_memory_;
};

// What Kill does on kernels that have no cgroup.kill (before 5.14): freezes, so that nothing forks,
// and kills what the cgroup lists until it is empty, for up to 10 s.
absl::Status KillByList(int folder);
// Waits until no process is left inside; DEADLINE_EXCEEDED after `micros`.
absl::Status WaitEmpty(int folder, int64_t micros);
// Removes an empty cgroup. The kernel holds on to one for a moment after its last process, or the
// last cgroup in it, went: tried for up to 10 s.
absl::Status RemoveCgroup(int parent, const std::string& name);
// Kills and removes the cgroup `name` below `parent`, as End does.
absl::Status EndCgroup(int parent, const std::string& name);

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_CGROUP_UNIT_CGROUP_H_
