// SPDX-License-Identifier: AGPL-3.0-only
// CgroupTree: the part of the cgroup v2 hierarchy that belongs to this runnerd, and what can be held
// with it on this host.
//
//   <base>                      delegated to runnerd; holds no process itself (the kernel gives its
//   |                           controllers on only then)
//   +- auspex-daemon            runnerd, and what stood with it in <base> (common/cgroup/aside.h)
//   +- auspex-units-<tag>       the owner's limits of all units together
//      +- unit-<n>              one unit, see UnitCgroup
//
// <base> is the cgroup that runnerd was started in. The tag is the state folder's, kept in
// its file "cgroup-name", so that several workers can share a base, and one that starts again finds
// what its predecessor left.
//
// Open before the process enters its private view: everything later goes through descriptors, which
// stay writable there. Safe from any thread.
#ifndef AUSPEX_RUNNERD_CGROUP_TREE_H_
#define AUSPEX_RUNNERD_CGROUP_TREE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "runnerd/cgroup/unit_cgroup.h"

namespace auspex::runnerd {

// One thing that the tree can hold, or why it cannot.
struct CgroupFact {
  std::string name;  // "cgroup", "cgroup-memory", "cgroup-pids", "cgroup-cpu", "cgroup-io"
  bool in_force = false;
  bool of_units = true;  // a unit's own limits need it; else it serves all units together
  std::string remedy;    // why not, and what the owner can do; empty when in force
};

// The owner's limits of all units together; what is not set is not limited.
struct CgroupTotals {
  std::optional<uint64_t> memory_octets;
  std::optional<double> cpus;
  int cpu_weight = 100, io_weight = 100;  // against the other cgroups in <base>, 1..10000
  bool operator==(const CgroupTotals&) const = default;
};

// In the state folder: the name of the folder of the units.
inline constexpr char kUnitsNameFile[] = "cgroup-name";

class CgroupTree {
 public:
  // Finds the base, really tries to write there, takes possession of it, and ends what an earlier
  // runnerd of this state folder left. Always gives an object: facts() says what it can do.
  static std::unique_ptr<CgroupTree> Open(const std::string& state_dir);
  // Removes the folder of the units, when it is empty as it should be. In the root of the hierarchy,
  // which nobody may write to without a capability, it may have to stay, for the next one to take.
  ~CgroupTree();

  // Whether units get cgroups at all: then they are born in them, can be frozen, and are killed as
  // a whole. The limits hold as the other facts say.
  bool usable() const { return units_.valid(); }
  bool can_freeze() const { return usable(); }
  const std::vector<CgroupFact>& facts() const { return facts_; }
  bool InForce(std::string_view name) const;
  // The first fact that a unit's limits need and that is not in force; null: they hold.
  const CgroupFact* Missing() const;
  // Cgroups that an earlier runnerd left with processes, now dead.
  int leftovers() const { return leftovers_; }
  const std::string& base() const { return base_path_; }

  // Processor time of all units so far, of those that have ended too; FAILED_PRECONDITION when they
  // have no cgroups.
  absl::StatusOr<int64_t> UnitsMicros() const;

  // Limits that can be held from now on, for units that run too. Costs nothing when nothing
  // changed.
  absl::Status SetTotals(const CgroupTotals& totals);
  // A new cgroup with these limits. An error means that a limit whose controller is in force could
  // not be set (the totals included), or that there is no tree: then the unit must not run.
  absl::StatusOr<UnitCgroup> Make(const CgroupLimits& limits);

 private:
  CgroupTree() = default;
  absl::Status TakeBase(const std::string& state_dir);
  void EndLeftUnits();
  void TakeControllers();
  absl::Status Enable(const std::string& controller);
  absl::Status WriteTotals(const CgroupTotals& totals) const;
  void Fact(std::string name, bool in_force, std::string remedy, bool of_units = true);

  std::string mount_path_, base_path_, units_name_;
  UniqueFd base_, units_;
  bool root_ = false;  // <base> is the hierarchy's root, which may hold processes
  std::vector<CgroupFact> facts_;
  int leftovers_ = 0;
  std::mutex mutex_;
  uint64_t next_ = 1;
  std::optional<CgroupTotals> totals_;
  absl::Status totals_status_;  // of the last attempt to put them in force
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_CGROUP_TREE_H_
