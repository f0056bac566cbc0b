// SPDX-License-Identifier: AGPL-3.0-only
// What `auspex doctor` finds: one Check a question that a person would ask, with what to do when the answer is not good. The
// functions look and change nothing, but for daemons that they start for the look and stop again. Every text is printable. One
// thread.
#ifndef AUSPEX_CLI_DOCTOR_CHECK_H_
#define AUSPEX_CLI_DOCTOR_CHECK_H_

#include <string>
#include <string_view>
#include <vector>

#include "cli/worker.h"

namespace auspex::cli {

enum class Health { kOk, kWarning, kFailure };
// "ok", "warn", "fail".
std::string_view HealthWord(Health health);

struct Check {
  std::string name;  // one word: "journal"
  Health health = Health::kOk;
  std::string found;
  std::string remedy = {};  // empty when ok
};
using Checks = std::vector<Check>;

// Configuration files, file modes, room on the disk, the clock, the programs' versions, what one user cannot keep apart.
void CheckConfiguration(const Session& session, Checks& checks);
void CheckSeparation(const Session& session, Checks& checks);
void CheckFiles(const Session& session, Checks& checks);
void CheckDisk(const Session& session, Checks& checks);
void CheckPrograms(Checks& checks);

// The daemons that answer, and what each says of itself.
void CheckDaemons(Worker& worker, const Session& session, Checks& checks);

// What keyd's status tells, as checks: hardening, key, journal. Pure.
void CheckKeyStatus(const keyd_v1::KeyStatus& status, const std::string& program, Checks& checks);
// "landlock, seccomp" for the layers that are not in force; empty: none.
std::string MissingLayers(const keyd_v1::KeyStatus& status);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_DOCTOR_CHECK_H_
