// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/service/installed.h"

#include <unistd.h>

#include "cli/process/instance_lock.h"
#include "cli/process/transient.h"
#include "cli/service/unit_text.h"
#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::cli {
namespace {

constexpr char kTellingUnit[] = "auspex-keyd-owner.socket";
constexpr uint64_t kMaxUnitOctets = 256 * 1024;
// A supervisor that is just ending, and another command's moment.
constexpr int kSupervisorLockMs = 300, kStartLockMs = 10'000;

}  // namespace

InstalledFor WhoseUnits(const UnitStore& store, const Layout& layout) {
  const absl::StatusOr<std::string> text = ReadFile(store.PathOf(kTellingUnit), kMaxUnitOctets);
  if (!text.ok()) return InstalledFor::kNobody;
  const absl::StatusOr<std::string> here = UnitValue(layout.Socket("keyd", "owner"));
  for (const UnitLine& line : UnitLines(*text)) {
    if (line.key == "ListenStream" && here.ok() && line.value == *here)
      return InstalledFor::kThisWorker;
  }
  return InstalledFor::kAnotherWorker;
}

bool ServicesRun(const UnitStore& store, const Layout& layout) {
  if (WhoseUnits(store, layout) != InstalledFor::kThisWorker) return false;
  const absl::StatusOr<UserManager> manager = UserManager::Find();
  return manager.ok() && manager->Active(std::string(kTargetUnit));
}

absl::Status NobodyElseRuns(const Layout& layout) {
  ASSIGN_OR_RETURN(const std::string folder, CommandRunDir(layout));
  const absl::StatusOr<UniqueFd> supervisor =
      TakeLock(folder + "/supervisor.lock", kSupervisorLockMs);
  if (!supervisor.ok()) {
    return absl::FailedPreconditionError(
        Cat("a daemon of this worker runs already: ", std::string(supervisor.status().message())));
  }
  const absl::StatusOr<UniqueFd> start = TakeLock(folder + "/start.lock", kStartLockMs);
  if (!start.ok()) {
    return absl::FailedPreconditionError(Cat("another auspex command is at work on this worker: ",
                                             std::string(start.status().message())));
  }
  for (const char* daemon : {"keyd", "stated", "runnerd", "netd"}) {
    const std::string path = layout.RunDir(daemon) + "/lock";
    if (::access(path.c_str(), F_OK) != 0) continue;
    RETURN_IF_ERROR(LockInstance(path).status());
  }
  return absl::OkStatus();
}

}  // namespace auspex::cli
