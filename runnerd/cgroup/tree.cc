// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/cgroup/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/cgroup/aside.h"
#include "common/cgroup/control_file.h"
#include "common/cgroup/place.h"
#include "common/files/files.h"
#include "common/ids/ids.h"
#include "common/log/log.h"

namespace auspex::runnerd {
namespace {

constexpr char kUnitsPrefix[] = "auspex-units-";
constexpr char kSubtree[] = "cgroup.subtree_control", kControllers[] = "cgroup.controllers";
constexpr char kProcesses[] = "cgroup.procs";
constexpr const char* kHowToDelegate =
    "set Delegate=yes in the unit file, or start it under systemd-run --user --scope -p "
    "Delegate=yes";
// A path under systemd is long, and its end is what the owner looks for.
constexpr size_t kMaxShownPath = 1024;
constexpr uint64_t kCpuPeriodMicros = 100'000, kLeastCpuMicros = 1'000;

struct Controller {
  const char* name;
  bool of_units;
  const char* v1_name;
};
constexpr Controller kWanted[] = {{"memory", true, "memory"},
                                  {"pids", true, "pids"},
                                  {"cpu", true, "cpu"},
                                  {"io", false, "blkio"}};

bool Has(const absl::StatusOr<std::string>& list, std::string_view word) {
  if (!list.ok()) return false;
  const std::vector<std::string> words = Words(*list);
  return std::find(words.begin(), words.end(), word) != words.end();
}

UniqueFd OpenFolder(int at, const char* path) {
  return UniqueFd(openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

// Why a controller is not given to <base>, and what helps.
std::string WhyNotGiven(const Controller& controller, const std::string& mount,
                        const std::string& base) {
  const UniqueFd top = OpenFolder(AT_FDCWD, mount.c_str());
  if (top && Has(ReadControl(top.get(), kControllers), controller.name)) {
    return Cat("the controller ", controller.name, " is not delegated to ",
               Printable(base, kMaxShownPath), ": ", kHowToDelegate,
               " (for services of a user, user@.service must have it in Delegate= too)");
  }
  // "name hierarchy cgroups enabled"
  const auto table = ReadFile("/proc/cgroups", 64 * 1024);
  const std::vector<std::string> words = table.ok() ? Words(*table) : std::vector<std::string>();
  const auto at = std::find(words.begin(), words.end(), controller.v1_name);
  if (words.end() - at < 4)
    return Cat("this kernel does not have the controller ", controller.name);
  if (at[3] == "0") {
    return Cat("the controller ", controller.name,
               " is switched off: boot with cgroup_enable=", controller.v1_name,
               " on the kernel's command line");
  }
  if (at[1] != "0") {
    return Cat("the controller ", controller.name,
               " belongs to cgroup v1 on this host: boot with "
               "systemd.unified_cgroup_hierarchy=1 on the kernel's command line");
  }
  return Cat("the controller ", controller.name,
             " is not given to this container: give it a delegated cgroup v2");
}

// The name that units of this state folder go under, kept in it, so that the next start finds what
// this one may leave. It carries the folder's inode: a copy of the folder is another worker's.
absl::StatusOr<std::string> UnitsName(const std::string& state_dir) {
  struct stat state {};
  if (stat(state_dir.c_str(), &state) != 0) return ErrnoStatus(errno, "look at", state_dir);
  const std::string own = Cat(kUnitsPrefix, static_cast<uint64_t>(state.st_ino), "-");
  const std::string file = Cat(state_dir, "/", kUnitsNameFile);
  constexpr size_t kRandomOctets = 8;
  if (const auto kept = ReadFile(file, 256); kept.ok() && kept->starts_with(own)) {
    const std::string_view random = std::string_view(*kept).substr(own.size());
    if (random.size() == 2 * kRandomOctets &&
        random.find_first_not_of("0123456789abcdef") == std::string_view::npos)
      return *kept;
  }
  char random[kRandomOctets];
  if (getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random))
    return ErrnoStatus(errno, "getrandom", "name of the units' cgroup");
  std::string name = own + HexEncode(std::string_view(random, sizeof random));
  RETURN_IF_ERROR(WriteFileAtomically(file, name, 0644));
  return name;
}

std::string Quota(double cpus) {
  const uint64_t quota = std::max<uint64_t>(
      static_cast<uint64_t>(cpus * static_cast<double>(kCpuPeriodMicros)), kLeastCpuMicros);
  return Cat(quota, " ", kCpuPeriodMicros);
}

std::string OrMax(const std::optional<uint64_t>& number) {
  return number ? Cat(*number) : std::string("max");
}

}  // namespace

std::unique_ptr<CgroupTree> CgroupTree::Open(const std::string& state_dir) {
  std::unique_ptr<CgroupTree> tree(new CgroupTree());
  if (const absl::Status status = tree->TakeBase(state_dir); !status.ok()) {
    tree->units_.Reset();
    tree->Fact("cgroup", false, std::string(status.message()));
    for (const Controller& controller : kWanted) {
      tree->Fact(Cat("cgroup-", controller.name), false, "needs the layer cgroup",
                 controller.of_units);
    }
    return tree;
  }
  tree->Fact("cgroup", true, "");
  tree->TakeControllers();
  return tree;
}

CgroupTree::~CgroupTree() {
  units_.Reset();
  if (base_ && !units_name_.empty()) (void)RemoveCgroup(base_.get(), units_name_);
}

void CgroupTree::Fact(std::string name, bool in_force, std::string remedy, bool of_units) {
  facts_.push_back({std::move(name), in_force, of_units, std::move(remedy)});
}

bool CgroupTree::InForce(std::string_view name) const {
  for (const CgroupFact& fact : facts_) {
    if (fact.name == name) return fact.in_force;
  }
  return false;
}

const CgroupFact* CgroupTree::Missing() const {
  for (const CgroupFact& fact : facts_) {
    if (fact.of_units && !fact.in_force) return &fact;
  }
  return nullptr;
}

absl::Status CgroupTree::TakeBase(const std::string& state_dir) {
  const auto own = ReadFile("/proc/self/cgroup", 64 * 1024);
  const auto mounts = ReadFile("/proc/self/mountinfo", 16 << 20);
  if (!own.ok()) return own.status();
  if (!mounts.ok()) return mounts.status();
  ASSIGN_OR_RETURN(const CgroupPlace place, FindCgroupPlace(*own, *mounts));
  mount_path_ = place.mount;
  base_path_ = CgroupBase(place);
  base_ = OpenFolder(AT_FDCWD, base_path_.c_str());
  if (!base_) return ErrnoStatus(errno, "open", base_path_);
  root_ = !HasControl(base_.get(), "cgroup.type");
  const auto type = ReadControl(base_.get(), "cgroup.type");
  if (type.ok() && type->starts_with("threaded")) {
    return absl::FailedPreconditionError(Cat("runnerd's cgroup ",
                                             Printable(base_path_, kMaxShownPath),
                                             " is for threads only: ", kHowToDelegate));
  }
  ASSIGN_OR_RETURN(units_name_, UnitsName(state_dir));
  // Really tried, down to what a unit needs: the folder may be there already, from an earlier
  // runnerd under another user, and processes are moved only by who may write the base's list.
  constexpr char kTrial[] = "/trial";
  const std::string trial = units_name_ + kTrial;
  if ((mkdirat(base_.get(), units_name_.c_str(), 0755) != 0 && errno != EEXIST) ||
      (mkdirat(base_.get(), trial.c_str(), 0755) != 0 && errno != EEXIST) ||
      unlinkat(base_.get(), trial.c_str(), AT_REMOVEDIR) != 0 ||
      faccessat(base_.get(), kProcesses, W_OK, AT_EACCESS) != 0) {
    const int error = errno;
    units_name_.clear();
    if (error == EROFS) {
      return absl::FailedPreconditionError(
          "cgroup v2 is mounted read-only here: give the container a delegated cgroup that it may "
          "write to");
    }
    if (error == EACCES || error == EPERM) {
      return absl::FailedPreconditionError(Cat("runnerd may not write to its cgroup ",
                                               Printable(base_path_, kMaxShownPath), ": ",
                                               kHowToDelegate));
    }
    return ErrnoStatus(error, "make a cgroup in", Printable(base_path_, kMaxShownPath));
  }
  units_ = OpenFolder(base_.get(), units_name_.c_str());
  if (!units_) return ErrnoStatus(errno, "open", units_name_);
  if (!HasControl(units_.get(), "cgroup.freeze")) {
    return absl::FailedPreconditionError(
        "this kernel's cgroup v2 cannot freeze: it must be 5.2 or newer");
  }
  EndLeftUnits();
  return absl::OkStatus();
}

// What is in the folder is of an earlier runnerd of this state folder, which is gone: there is one
// at a time.
void CgroupTree::EndLeftUnits() {
  const int folder = dup(units_.get());
  DIR* list = folder < 0 ? nullptr : fdopendir(folder);
  if (list == nullptr) return;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(list)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(list);
  for (const std::string& name : names) {
    const UniqueFd unit = OpenFolder(units_.get(), name.c_str());
    const auto processes = unit ? ReadControl(unit.get(), kProcesses) : std::string();
    const size_t count = processes.ok() ? Words(*processes).size() : 0;
    const absl::Status ended = EndCgroup(units_.get(), name);
    if (count == 0 && ended.ok()) continue;
    ++leftovers_;
    LogWarning("leftover_cgroup_ended",
               {{"cgroup", name},
                {"processes", static_cast<int64_t>(count)},
                {"outcome", ended.ok() ? "removed" : std::string(ended.message())}});
  }
}

// A cgroup gives controllers to its children only while no process is in itself.
absl::Status CgroupTree::Enable(const std::string& controller) {
  constexpr int kRounds = 20;
  for (int round = 0;; ++round) {
    int error = 0;
    const absl::Status enabled = WriteControl(base_.get(), kSubtree, Cat("+", controller), &error);
    if (error != EBUSY) return enabled;
    if (round == kRounds || !IsDelegatedWhole(base_.get())) {
      return absl::FailedPreconditionError(Cat("other processes stand in runnerd's cgroup ",
                                               Printable(base_path_, kMaxShownPath), ": ",
                                               kHowToDelegate));
    }
    // The whole of it was delegated: what was started with runnerd moves with it. One that has
    // ended meanwhile, or just began, is for the next round.
    ASSIGN_OR_RETURN(const std::string processes, ReadControl(base_.get(), kProcesses));
    const UniqueFd daemon = OpenFolder(base_.get(), kDaemonLeaf);
    for (const std::string& pid : Words(processes))
      (void)WriteControl(daemon.get(), kProcesses, pid);
  }
}

void CgroupTree::TakeControllers() {
  const auto given = ReadControl(base_.get(), kControllers);
  const bool any = std::any_of(std::begin(kWanted), std::end(kWanted),
                               [&](const Controller& c) { return Has(given, c.name); });
  absl::Status moved;
  if (any && !root_) {
    if (mkdirat(base_.get(), kDaemonLeaf, 0755) != 0 && errno != EEXIST) {
      moved = ErrnoStatus(errno, "make cgroup", kDaemonLeaf);
    } else {
      const UniqueFd daemon = OpenFolder(base_.get(), kDaemonLeaf);
      moved = WriteControl(daemon.get(), kProcesses, "0");
    }
  }
  for (const Controller& controller : kWanted) {
    const std::string name = Cat("cgroup-", controller.name);
    if (!Has(given, controller.name)) {
      Fact(name, false, WhyNotGiven(controller, mount_path_, base_path_), controller.of_units);
      continue;
    }
    absl::Status status = moved.ok() ? Enable(controller.name) : moved;
    if (status.ok() && controller.of_units)
      status = WriteControl(units_.get(), kSubtree, Cat("+", controller.name));
    if (status.ok() && !controller.of_units && !HasControl(units_.get(), "io.weight") &&
        !HasControl(units_.get(), "io.bfq.weight")) {
      status = absl::FailedPreconditionError(
          "this kernel has no shares of disks (CONFIG_BLK_CGROUP_IOCOST)");
    }
    Fact(name, status.ok(), std::string(status.message()), controller.of_units);
  }
}

absl::StatusOr<int64_t> CgroupTree::UnitsMicros() const {
  if (!usable()) return absl::FailedPreconditionError("units have no cgroups here");
  ASSIGN_OR_RETURN(const std::string text, ReadControl(units_.get(), "cpu.stat"));
  const std::optional<uint64_t> micros = KeyedValue(text, "usage_usec");
  if (!micros) return absl::InternalError("cpu.stat: has no usage_usec");
  return static_cast<int64_t>(*micros);
}

absl::Status CgroupTree::SetTotals(const CgroupTotals& totals) {
  std::lock_guard lock(mutex_);
  if (!usable() || (totals_ == totals && totals_status_.ok())) return absl::OkStatus();
  totals_ = totals;
  totals_status_ = WriteTotals(totals);
  return totals_status_;
}

absl::Status CgroupTree::WriteTotals(const CgroupTotals& totals) const {
  const int units = units_.get();
  if (InForce("cgroup-memory"))
    RETURN_IF_ERROR(WriteControl(units, "memory.max", OrMax(totals.memory_octets)));
  if (InForce("cgroup-cpu")) {
    RETURN_IF_ERROR(WriteControl(units, "cpu.max", totals.cpus ? Quota(*totals.cpus) : "max"));
    RETURN_IF_ERROR(WriteControl(units, "cpu.weight", Cat(totals.cpu_weight)));
  }
  if (InForce("cgroup-io")) {
    const char* file = HasControl(units, "io.weight") ? "io.weight" : "io.bfq.weight";
    RETURN_IF_ERROR(WriteControl(units, file, Cat("default ", totals.io_weight)));
  }
  return absl::OkStatus();
}

absl::StatusOr<UnitCgroup> CgroupTree::Make(const CgroupLimits& limits) {
  std::string name;
  {
    std::lock_guard lock(mutex_);
    RETURN_IF_ERROR(totals_status_);
    // A number may be taken by what an earlier runnerd left and the kernel did not let go.
    do {
      name = Cat("unit-", next_++);
      errno = 0;
    } while (mkdirat(units_.get(), name.c_str(), 0755) != 0 && errno == EEXIST);
    if (errno != 0) return ErrnoStatus(errno, "make cgroup", name);
  }
  UniqueFd folder = OpenFolder(units_.get(), name.c_str());
  UniqueFd events(folder ? openat(folder.get(), "cgroup.events", O_RDONLY | O_CLOEXEC) : -1);
  if (!events) {
    const absl::Status status = ErrnoStatus(errno, "open cgroup", name);
    unlinkat(units_.get(), name.c_str(), AT_REMOVEDIR);
    return status;
  }
  const bool memory = InForce("cgroup-memory") && limits.memory_octets;
  UnitCgroup unit(units_.get(), name, std::move(folder), std::move(events), memory);
  if (InForce("cgroup-memory")) {
    // One process of a unit that is killed for memory takes the others with it: half a unit is of
    // no use, and its scratch would stay full.
    RETURN_IF_ERROR(WriteControl(unit.fd(), "memory.oom.group", "1"));
    if (memory) RETURN_IF_ERROR(WriteControl(unit.fd(), "memory.max", Cat(*limits.memory_octets)));
    // Hosts without swap accounting have no such file.
    if (limits.swap_octets && HasControl(unit.fd(), "memory.swap.max"))
      RETURN_IF_ERROR(WriteControl(unit.fd(), "memory.swap.max", Cat(*limits.swap_octets)));
  }
  if (InForce("cgroup-pids") && limits.processes)
    RETURN_IF_ERROR(WriteControl(unit.fd(), "pids.max", Cat(*limits.processes)));
  if (InForce("cgroup-cpu") && limits.cpus)
    RETURN_IF_ERROR(WriteControl(unit.fd(), "cpu.max", Quota(*limits.cpus)));
  return unit;
}

}  // namespace auspex::runnerd
