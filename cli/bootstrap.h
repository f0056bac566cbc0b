// SPDX-License-Identifier: AGPL-3.0-only
// Bootstrap: from nothing to an enrolled worker, in steps that may each be repeated: key, enrolment
// at the coordinator, pin of the enrolment in keyd. An interrupted run is finished by the next one.
#ifndef AUSPEX_CLI_BOOTSTRAP_H_
#define AUSPEX_CLI_BOOTSTRAP_H_

#include <string>

#include "cli/worker.h"

namespace auspex::cli {

struct BootstrapOutcome {
  int exit_code =
      kExitOk;  // kExitRefused: keystore trouble, or a key that the coordinator does not take
  std::string cause, remedy;  // when it is not kExitOk
  std::string worker_id, public_key_hex, base_url;
  uint32_t trust_tier = 0;
  bool already_enrolled = false;
};

// Starts what it needs of the worker's daemons. Where a key of an existing worker waits to be taken
// over, a new one is made only with `new_key`.
BootstrapOutcome Bootstrap(Worker& worker, bool new_key = false);

// What a running worker must have: enrolled, with the coordinator that `configured_url` names, the
// key there and the enrolled one, the same worker pinned in keyd. FAILED_PRECONDITION says what is
// wrong and what to do; other codes are those of the calls.
absl::Status CheckEnrolment(Clients& clients, const std::string& configured_url);

// Whether `configured_url` names another coordinator than `enrolled_url`, the normalised form that
// was recorded at enrolment. Spelling does not count; a URL that does not parse is another one.
bool NamesAnotherCoordinator(const std::string& configured_url, const std::string& enrolled_url);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_BOOTSTRAP_H_
